import { equals } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { InvoiceSchema, InvoiceStatus, type Invoice } from "./gen/till/v1/invoice_pb.js";
import type { WatchInvoiceResponse } from "./gen/till/v1/invoice_service_pb.js";
import { loop, type Loop } from "./loop.js";
import { isLoss, pause, pauseAfter } from "./losses.js";

/** A change of a watch's connection. */
export type ConnectionChange =
  | {
      /** The connection was lost, or an attempt to reconnect failed. */
      readonly lost: true;
      /** The number of losses in a row, from 1. */
      readonly attempt: number;
      /** The reason of the loss. */
      readonly error: ConnectError;
    }
  | {
      /** The connection is back: the watch receives states again. */
      readonly lost: false;
      /** The number of losses before. */
      readonly attempt: number;
    };

/** Options of a watch. */
export interface WatchOptions {
  /** Milliseconds for the whole watch, with all its connections. Default: no deadline. */
  timeoutMs?: number | undefined;
  /** Ends the watch when it is aborted. The watch then throws its `reason`. */
  signal?: AbortSignal | undefined;
  /** Whether to reconnect before the first state too. Default: the watch then fails like a call. */
  waitForReady?: boolean | undefined;
  /** Called with each loss of the connection, and when it is back. An error that it throws ends the watch. */
  onConnection?: ((change: ConnectionChange) => void) | undefined;
}

/** The states of an invoice, for one `for await` loop. `return` ends the watch immediately. */
export type Watch = Loop<Invoice>;

/** Opens the stream of one attempt. An error of the function itself ends the watch. */
export type Open = (invoiceId: string, signal: AbortSignal) => Promise<AsyncIterable<WatchInvoiceResponse>>;

/** Watch an invoice through lost connections: see `Till.watch`. */
export function watch(invoiceId: string, open: Open, { signal, ...options }: WatchOptions = {}): Watch {
  return loop((stop) => states(invoiceId, open, stop, options), signal);
}

async function* states(
  invoiceId: string,
  open: Open,
  stop: AbortController,
  { timeoutMs, waitForReady = false, onConnection }: WatchOptions,
): AsyncGenerator<Invoice> {
  const { signal } = stop;
  let reconnects = waitForReady;
  let seen: Invoice | undefined;
  let losses = 0;
  let lastLoss: ConnectError | undefined;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => stop.abort(tooLate(lastLoss)), timeoutMs);
  try {
    while (true) {
      const responses = await open(invoiceId, signal);
      try {
        for await (const { invoice } of responses) {
          reconnects = true;
          if (losses) onConnection?.({ lost: false, attempt: losses });
          losses = 0;
          if (!invoice || (seen && equals(InvoiceSchema, seen, invoice))) continue;
          yield (seen = invoice);
          if (isFinal(invoice)) return;
        }
        lastLoss = new ConnectError("the watch ended before the invoice was final", Code.Unavailable);
      } catch (error) {
        if (signal.aborted || !isLoss(error)) throw error;
        lastLoss = error;
      }
      if (!reconnects) throw lastLoss;
      onConnection?.({ lost: true, attempt: ++losses, error: lastLoss });
      await pause(pauseAfter(lastLoss, losses), signal);
    }
  } finally {
    clearTimeout(timer);
  }
}

function isFinal({ status }: Invoice): boolean {
  return [InvoiceStatus.PAID, InvoiceStatus.EXPIRED, InvoiceStatus.CANCELED].includes(status);
}

function tooLate(lastLoss: ConnectError | undefined): ConnectError {
  const lost = lastLoss ? `; its connection was lost before: ${lastLoss.rawMessage}` : "";
  return new ConnectError(`the watch has reached its deadline${lost}`, Code.DeadlineExceeded, undefined, undefined, lastLoss);
}
