import { clone, create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";
import type { ExportInvoicesRequestSchema, InvoiceService } from "./gen/till/v1/invoice_service_pb.js";
import { loop, type Loop } from "./loop.js";
import { isLoss, pause, pauseAfter } from "./losses.js";
import { orAborted } from "./transport.js";

/** For how long a page without a deadline is retried. */
const RETRIES_MS = 30_000;

type Options = CallOptions & { signal: AbortSignal };

/** A method that returns pages. */
export interface Paged<Schema extends DescMessage, Page, Item> {
  /** Schema of its request. */
  schema: Schema;
  call: (request: MessageShape<Schema>, options: CallOptions) => Promise<Page>;
  items: (page: Page) => Item[];
}

/**
 * List the items of all pages through lost connections: see `Till.list`.
 * `addKey` adds the key to the headers of a call; its error ends the list.
 */
export function list<Schema extends DescMessage, Page extends { nextPageToken: string }, Item>(
  { schema, call, items }: Paged<Schema, Page, Item>,
  addKey: (header?: HeadersInit) => Promise<Headers>,
  request: MessageInitShape<Schema>,
  options: CallOptions,
): Loop<Item> {
  // A copy, so that a change by the caller does not reach the next page.
  const next = clone(schema, create(schema, request));
  const prepare = async (options: Options) => {
    const headers = await orAborted(addKey(options.headers), options.signal);
    return () => call(next, { ...options, headers });
  };
  return loop(async function* ({ signal }) {
    let reconnects = false;
    do {
      const page: Page = await retried(prepare, { ...options, signal }, reconnects);
      yield* items(page);
      Object.assign(next, { pageToken: page.nextPageToken });
      reconnects = page.nextPageToken !== "";
    } while (reconnects);
  }, options.signal);
}

/** Return a page. It is retried until its connection is not lost, or there is no time for another attempt. */
async function retried<Page>(
  prepare: (options: Options) => Promise<() => Promise<Page>>,
  options: Options,
  reconnects: boolean,
): Promise<Page> {
  const end = Date.now() + (options.timeoutMs ?? RETRIES_MS);
  let left = options;
  for (let losses = 1; ; losses++) {
    const call = await prepare(left);
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
