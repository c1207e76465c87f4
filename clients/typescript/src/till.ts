import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type CallOptions, type Client, type Transport } from "@connectrpc/connect";
import { events, type Events, type EventsOptions, type PrepareEvents } from "./events.js";
import { EventService } from "./gen/till/v1/event_service_pb.js";
import type { Invoice } from "./gen/till/v1/invoice_pb.js";
import { InvoiceService, ListInvoicesRequestSchema, type ExportInvoicesRequestSchema } from "./gen/till/v1/invoice_service_pb.js";
import { InvreqService } from "./gen/till/v1/invreq_service_pb.js";
import { KeyService } from "./gen/till/v1/key_service_pb.js";
import type { WebhookDelivery } from "./gen/till/v1/webhook_pb.js";
import { ListDeliveriesRequestSchema, WebhookService } from "./gen/till/v1/webhook_service_pb.js";
import { authorization, type Key } from "./keys.js";
import { exportCsv, list } from "./list.js";
import type { Loop } from "./loop.js";
import type { WatchOptions } from "./reconnect.js";
import { orAborted, withErrors, withHeaders, withHiddenSecrets } from "./transport.js";
import { watch, type Watch } from "./watch.js";

/**
 * A client of Till. It opens connections when they are needed and closes idle ones, so it need not be closed.
 *
 * Its calls throw a `TillError` if Till rejects them, the reason of the caller's signal if it is aborted, or else a
 * `ConnectError`. They are never retried automatically, except the later pages of a list.
 */
export class Till {
  /** Create, read, look up and cancel invoices, list them by pages, and report payments. */
  readonly invoices: Client<typeof InvoiceService>;
  /** Offer payments by invoice requests (BOLT 12), and collect those of other nodes. */
  readonly invreqs: Client<typeof InvreqService>;
  /** Create, list and revoke keys. */
  readonly keys: Client<typeof KeyService>;
  /** Read pages of the log of events; `Till.events` follows the log. */
  readonly eventLog: Client<typeof EventService>;
  /** Create, change, test and delete webhooks, which send events to a URL, and send events again. */
  readonly webhooks: Client<typeof WebhookService>;
  readonly #keyless: {
    invoices: Client<typeof InvoiceService>;
    eventLog: Client<typeof EventService>;
    webhooks: Client<typeof WebhookService>;
  };
  readonly #addKey: (header?: HeadersInit) => Promise<Headers>;

  /**
   * `connect` of `/node` and of `/web` creates the transport.
   * This constructor takes any transport of gRPC or gRPC-Web; whether it may carry the key is then your decision.
   *
   * @throws TypeError for a malformed key.
   */
  constructor(transport: Transport, { key }: { key?: Key | undefined } = {}) {
    const plain = withHiddenSecrets(withErrors(transport));
    this.#addKey = authorization(key);
    // The key is read apart from these calls, so that an error of a key function is not taken for a lost connection.
    this.#keyless = {
      invoices: createClient(InvoiceService, plain),
      eventLog: createClient(EventService, plain),
      webhooks: createClient(WebhookService, plain),
    };
    const calling = withHeaders(plain, this.#addKey);
    this.invoices = createClient(InvoiceService, calling);
    this.invreqs = createClient(InvreqService, calling);
    this.keys = createClient(KeyService, calling);
    this.eventLog = createClient(EventService, calling);
    this.webhooks = createClient(WebhookService, calling);
  }

  /**
   * Watch an invoice: yields its current state, then each change, and ends after the final state (PAID,
   * EXPIRED or CANCELED).
   *
   * A lost connection is reopened, after 0.1 s, then after twice as long each time, up to 1.5 s, with jitter.
   * No state is yielded twice in a row. Leaving the loop ends the watch.
   *
   * @throws TillError for an error that waiting does not cure; ConnectError for a connection that fails before the
   * first state, unless `waitForReady` is set, and with `Code.DeadlineExceeded` after `timeoutMs`; the reason of
   * `signal` when it is aborted.
   */
  watch({ invoiceId }: { readonly invoiceId: string }, options?: WatchOptions): Watch {
    const prepare = async (signal: AbortSignal) => {
      const headers = await orAborted(this.#addKey(), signal);
      return (attempt: AbortSignal) => this.#keyless.invoices.watchInvoice({ invoiceId }, { signal: attempt, headers });
    };
    return watch(prepare, options);
  }

  /**
   * Read the events of the key's user, each once and in order: those after `after` or `from: "beginning"`, then new
   * ones as they happen. Without a start: from now on. The key needs the scope events:read.
   *
   * Store the `sequence` of each event that you have handled, and continue after it: `events({ after: 4711n })`.
   * With `allUsers` it is the `cursor` of the event.
   *
   * A lost connection is reopened, also if it is silent for 45 s, with the pauses of a watch. The stream then continues
   * behind its last event. It never ends by itself; leaving the loop ends it.
   *
   * @throws TillError for an error that waiting does not cure, such as `TillCode.EventsGone` with `oldestSequence` if
   * events after the start were removed; otherwise as a watch, also before its first message.
   */
  events(options?: EventsOptions): Events {
    const prepare: PrepareEvents = async (request, signal) => {
      const headers = await orAborted(this.#addKey(), signal);
      return (attempt) => this.#keyless.eventLog.watchEvents(request, { signal: attempt, headers });
    };
    return events(prepare, options);
  }

  /**
   * List all matching invoices. The loop fetches a page when it needs one; `timeoutMs` is the deadline of each.
   *
   * A list may begin at a `pageToken` of `till.invoices.listInvoices`, which returns a single page.
   * A later page whose connection is lost is fetched again, with the pauses of a watch, until its deadline, or for 30 s.
   *
   * @throws the error of a page, as a call does.
   */
  list(request: MessageInitShape<typeof ListInvoicesRequestSchema> = {}, options: CallOptions = {}): Loop<Invoice> {
    const call = this.#keyless.invoices.listInvoices;
    return list({ schema: ListInvoicesRequestSchema, call, items: ({ invoices }) => invoices }, this.#addKey, request, options);
  }

  /**
   * Export all matching invoices as CSV: yields whole lines, the header first. Leaving the loop ends the export.
   *
   * The file is complete if the loop ends without an error.
   *
   * @throws the error of the export, as a call does, also after some lines.
   */
  exportCsv(request: MessageInitShape<typeof ExportInvoicesRequestSchema> = {}, options: CallOptions = {}): Loop<string> {
    return exportCsv(this.invoices, request, options);
  }

  /**
   * List the deliveries of a webhook, the newest event first: all that are pending or dead, and some of the last that
   * succeeded. Pages are fetched as those of `list`.
   *
   * @throws the error of a page, as a call does.
   */
  deliveries(request: MessageInitShape<typeof ListDeliveriesRequestSchema>, options: CallOptions = {}): Loop<WebhookDelivery> {
    const call = this.#keyless.webhooks.listDeliveries;
    return list({ schema: ListDeliveriesRequestSchema, call, items: ({ deliveries }) => deliveries }, this.#addKey, request, options);
  }
}
