import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Client, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  InvoiceService,
  type WatchInvoiceRequestSchema,
  type WatchInvoiceResponse,
} from "./gen/till/v1/invoice_service_pb.js";
import { InvreqService } from "./gen/till/v1/invreq_service_pb.js";
import { KeyService } from "./gen/till/v1/key_service_pb.js";
import { watch, type WatchOptions } from "./watch.js";

/**
 * A Till to talk to. Connections are opened when they are needed, and idle ones closed: there is nothing to close.
 *
 * Calls throw a `ConnectError`; `tillError` tells what Till says of it. No call is sent again by itself: with a
 * `label`, `createInvoice` may be, since the same label and request again give the same invoice.
 */
export class Till {
  /** Create, read and look up invoices. */
  readonly invoices: Client<typeof InvoiceService>;
  /** Offer payments by invoice requests (BOLT 12), and collect those of other nodes. */
  readonly invreqs: Client<typeof InvreqService>;
  /** Make, list and revoke keys. */
  readonly keys: Client<typeof KeyService>;

  /** `connect` of `/node` and `/web` make the transport; any other that speaks gRPC or gRPC-Web will do. */
  constructor(transport: Transport) {
    this.invoices = createClient(InvoiceService, transport);
    this.invreqs = createClient(InvreqService, transport);
    this.keys = createClient(KeyService, transport);
  }

  /**
   * Watches an invoice: gives its state at once, and then each change, until it is paid or expired.
   *
   * A connection that is lost is opened again, after 0.1 s, then after twice as long each time, up to 2 s; no state is
   * given twice in a row. Leaving the loop ends the watch.
   *
   * @throws ConnectError for whatever trying again does not help with, `Code.DeadlineExceeded` after `timeoutMs`,
   * `Code.Canceled` when `signal` is aborted.
   */
  watch(
    request: MessageInitShape<typeof WatchInvoiceRequestSchema>,
    options?: WatchOptions,
  ): AsyncGenerator<WatchInvoiceResponse, void, undefined> {
    return watch(this.invoices, request, options);
  }
}

/** @throws TypeError for what is no URL of a Till: else a watch would go on trying. */
export function protocolOf(url: string): "http:" | "https:" {
  const protocol = URL.canParse(url) ? new URL(url).protocol : undefined;
  if (protocol === "http:" || protocol === "https:") return protocol;
  throw new TypeError(`no URL of a Till: ${url}; expected http://HOST:PORT, or https://HOST:PORT for TLS`);
}

/**
 * Sends a key, or a watch token, with each call; without white space around it. Empty: there is none.
 *
 * @throws TypeError for what no header can carry.
 */
export function authorization(key: string | undefined): Interceptor[] {
  if (!key) return [];
  const stripped = key.trim();
  if (!/^[!-~]+$/.test(stripped)) throw new TypeError("a key has printable ASCII only, without spaces");
  return [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${stripped}`);
      return next(request);
    },
  ];
}
