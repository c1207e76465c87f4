import { equals } from "@bufbuild/protobuf";
import { InvoiceSchema, InvoiceStatus, type Invoice } from "./gen/till/v1/invoice_pb.js";
import type { WatchInvoiceResponse } from "./gen/till/v1/invoice_service_pb.js";
import { loop, type Loop } from "./loop.js";
import { reconnecting, type Prepare, type WatchOptions } from "./reconnect.js";

/** The states of an invoice, for one `for await` loop. `return` ends the watch immediately. */
export type Watch = Loop<Invoice>;

/** Watch an invoice through lost connections: see `Till.watch`. */
export function watch(prepare: Prepare<WatchInvoiceResponse>, { signal, ...options }: WatchOptions = {}): Watch {
  return loop(async function* (stop) {
    const early = "the watch ended before the invoice was final";
    let seen: Invoice | undefined;
    for await (const { invoice } of reconnecting({ prepare, name: "watch", early }, stop, options)) {
      if (!invoice || (seen && equals(InvoiceSchema, seen, invoice))) continue;
      yield (seen = invoice);
      if (isFinal(invoice)) return;
    }
  }, signal);
}

function isFinal({ status }: Invoice): boolean {
  return [InvoiceStatus.PAID, InvoiceStatus.EXPIRED, InvoiceStatus.CANCELED].includes(status);
}
