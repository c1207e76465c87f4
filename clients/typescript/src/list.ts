import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";
import type { Invoice } from "./gen/till/v1/invoice_pb.js";
import {
  ListInvoicesRequestSchema,
  type ExportInvoicesRequestSchema,
  type InvoiceService,
  type ListInvoicesRequest,
  type ListInvoicesResponse,
} from "./gen/till/v1/invoice_service_pb.js";
import { loop, type Loop } from "./loop.js";
import { isLoss, pause, pauseAfter } from "./losses.js";

/** For how long a page without a deadline is retried. */
const RETRIES_MS = 30_000;

/** Gets the key, and returns the call. An error of the key function ends the list. */
export type PreparePage = (
  request: ListInvoicesRequest,
  options: CallOptions & { signal: AbortSignal },
) => Promise<() => Promise<ListInvoicesResponse>>;

/** List invoices through lost connections: see `Till.list`. */
export function list(
  prepare: PreparePage,
  request: MessageInitShape<typeof ListInvoicesRequestSchema>,
  options: CallOptions,
): Loop<Invoice> {
  // A copy, so that a change by the caller does not reach the next page.
  const next = clone(ListInvoicesRequestSchema, create(ListInvoicesRequestSchema, request));
  return loop(async function* ({ signal }) {
    let reconnects = false;
    do {
      const page = await retried(prepare, next, { ...options, signal }, reconnects);
      yield* page.invoices;
      next.pageToken = page.nextPageToken;
      reconnects = true;
    } while (next.pageToken);
  }, options.signal);
}

/** Return a page. It is retried until its connection is not lost, or there is no time for another attempt. */
async function retried(
  prepare: PreparePage,
  request: ListInvoicesRequest,
  options: CallOptions & { signal: AbortSignal },
  reconnects: boolean,
): Promise<ListInvoicesResponse> {
  const end = Date.now() + (options.timeoutMs ?? RETRIES_MS);
  let left = options;
  for (let losses = 1; ; losses++) {
    const call = await prepare(request, left);
    try {
      return await call();
    } catch (error) {
      if (options.signal.aborted || !reconnects || !isLoss(error)) throw error;
      const pauseMs = pauseAfter(error, losses);
      if (Date.now() + pauseMs >= end) throw error;
      await pause(pauseMs, options.signal);
      if (options.timeoutMs !== undefined) left = { ...options, timeoutMs: end - Date.now() };
    }
  }
}

/** See `Till.exportCsv`. */
export function exportCsv(
  invoices: Client<typeof InvoiceService>,
  request: MessageInitShape<typeof ExportInvoicesRequestSchema>,
  options: CallOptions,
): Loop<string> {
  return loop(async function* ({ signal }) {
    for await (const { csv } of invoices.exportInvoices(request, { ...options, signal })) yield csv;
  }, options.signal);
}
