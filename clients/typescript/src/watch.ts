import { equals, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Client } from "@connectrpc/connect";
import { tillError } from "./errors.js";
import { InvoiceStatus } from "./gen/till/v1/invoice_pb.js";
import {
  WatchInvoiceResponseSchema,
  type InvoiceService,
  type WatchInvoiceRequestSchema,
  type WatchInvoiceResponse,
} from "./gen/till/v1/invoice_service_pb.js";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;

/** How to watch. */
export interface WatchOptions {
  /** How long the whole watch may take, with all its connections, in milliseconds. By default as long as it takes. */
  timeoutMs?: number | undefined;
  /** Ends the watch when it is aborted. */
  signal?: AbortSignal | undefined;
}

/** All states of an invoice, through lost connections. `Till.watch` tells the rest. */
export async function* watch(
  invoices: Client<typeof InvoiceService>,
  request: MessageInitShape<typeof WatchInvoiceRequestSchema>,
  { timeoutMs, signal: callers }: WatchOptions = {},
): AsyncGenerator<WatchInvoiceResponse, void, undefined> {
  const end = new AbortController();
  const signal = callers ? AbortSignal.any([callers, end.signal]) : end.signal;
  const late = new ConnectError("the watch has come to its deadline", Code.DeadlineExceeded);
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => end.abort(late), timeoutMs);
  let told: WatchInvoiceResponse | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  try {
    while (true) {
      try {
        for await (const state of invoices.watchInvoice(request, { signal })) {
          pauseMs = FIRST_PAUSE_MS;
          if (!told || !equals(WatchInvoiceResponseSchema, told, state)) yield (told = state);
          if (isFinal(state)) return;
        }
      } catch (error) {
        if (signal.aborted || !isLost(error)) throw error;
      }
      await pause(pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  } finally {
    clearTimeout(timer);
    // Who has left the loop has not ended the call.
    end.abort();
  }
}

function isFinal({ invoice }: WatchInvoiceResponse): boolean {
  return invoice?.status === InvoiceStatus.PAID || invoice?.status === InvoiceStatus.EXPIRED;
}

/** Whether trying again may help. Behind a proxy a lost connection shows as any of the others. */
function isLost(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || ([Code.Internal, Code.Unknown, Code.Canceled].includes(code) && !tillError(error));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(wake, signal.aborted ? 0 : ms);
    signal.addEventListener("abort", wake);
    function wake() {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    }
  });
  if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
}
