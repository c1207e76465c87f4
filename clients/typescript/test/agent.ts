/** The agent of the TypeScript client: see clients/conformance/README.md. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import {
  Code,
  connect,
  ConnectError,
  create,
  EventSchema,
  EventService,
  ExportInvoicesRequestSchema,
  fromJson,
  InvoiceSchema,
  InvoiceService,
  ListDeliveriesRequestSchema,
  ListInvoicesRequestSchema,
  LogPosition,
  TillError,
  toJson,
  WatchEventsRequestSchema,
  WatchInvoiceRequestSchema,
  WatchInvoiceResponseSchema,
  WebhookDeliverySchema,
  WebhookService,
  type ConnectionChange,
  type EventsStart,
  type ExportInvoicesRequestJson,
  type ListDeliveriesRequestJson,
  type ListInvoicesRequestJson,
  type Till,
  type WatchEventsRequest,
  type WatchEventsRequestJson,
  type WatchInvoiceRequestJson,
} from "lightning-till-client/node";

type Call = (
  request: MessageShape<DescMessage>,
  options: { signal: AbortSignal; timeoutMs?: number },
) => Promise<MessageShape<DescMessage>>;

interface Request {
  id: number;
  address: string;
  key?: string;
  key_file?: string;
  allow_plaintext_key?: boolean;
  ca_file?: string;
  method: string;
  request: JsonValue;
  timeout_seconds?: number;
  wait_for_ready?: boolean;
  connection?: boolean;
  limit?: number;
  call: number;
}

let till: Till;
const open = new Map<number, AbortController>();

const operations: Record<string, (request: Request, signal: AbortSignal) => Promise<JsonValue>> = {
  async connect({ address, key, key_file, allow_plaintext_key, ca_file }) {
    const tls = ca_file ? { ca: readFileSync(ca_file) } : undefined;
    till = connect(`${tls ? "https" : "http"}://${address}`, {
      key: key_file ? () => readFile(key_file, "utf8") : key,
      allowPlaintextKey: allow_plaintext_key,
      tls,
    });
    return {};
  },

  async call(told, signal) {
    for (const [calls, { methods }] of services()) {
      const method = methods.find(({ name }) => name === told.method);
      if (!method) continue;
      const call = (calls as unknown as Record<string, Call>)[method.localName]!;
      const response = await call(fromJson(method.input as DescMessage, told.request), { signal, ...deadline(told) });
      if (method.name === "CreateWebhook" || method.name === "RotateSecret") console.error(response);
      return toJson(method.output as DescMessage, response);
    }
    throw new Error(`no such method: ${told.method}`);
  },

  async watch(told, signal) {
    const watch = till.watch(fromJson(WatchInvoiceRequestSchema, told.request as WatchInvoiceRequestJson), {
      ...reconnection(told),
      signal,
    });
    for await (const invoice of watch) {
      const event = create(WatchInvoiceResponseSchema, { invoice });
      say({ id: told.id, event: toJson(WatchInvoiceResponseSchema, event) as JsonValue });
    }
    return {};
  },

  async events(told, signal) {
    const { start, filter, allUsers } = fromJson(WatchEventsRequestSchema, told.request as WatchEventsRequestJson);
    const options = { ...reconnection(told), types: filter?.types, metadataType: filter?.metadataType, signal };
    let left = told.limit;
    for await (const event of till.events({ ...begin(start, allUsers), ...options })) {
      say({ id: told.id, event: toJson(EventSchema, event) as JsonValue });
      if (left && !--left) break;
    }
    return {};
  },

  async list(told, signal) {
    let left = told.limit;
    for await (const item of listed(told, signal)) {
      say({ id: told.id, event: item });
      if (left && !--left) break;
    }
    return {};
  },

  async export(told, signal) {
    const request = fromJson(ExportInvoicesRequestSchema, told.request as ExportInvoicesRequestJson);
    for await (const csv of till.exportCsv(request, { ...deadline(told), signal })) say({ id: told.id, event: { csv } });
    return {};
  },

  async cancel({ call }) {
    open.get(call)?.abort();
    return {};
  },
};

function services() {
  return [
    [till.invoices, InvoiceService],
    [till.eventLog, EventService],
    [till.webhooks, WebhookService],
  ] as const;
}

/** The items of a list, each as an event of the agent. */
async function* listed(told: Request, signal: AbortSignal): AsyncGenerator<JsonValue> {
  const options = { ...deadline(told), signal };
  if (told.method === "ListDeliveries") {
    const request = fromJson(ListDeliveriesRequestSchema, told.request as ListDeliveriesRequestJson);
    for await (const each of till.deliveries(request, options)) yield { delivery: toJson(WebhookDeliverySchema, each) as JsonValue };
  } else {
    const request = fromJson(ListInvoicesRequestSchema, told.request as ListInvoicesRequestJson);
    for await (const each of till.list(request, options)) yield { invoice: toJson(InvoiceSchema, each) as JsonValue };
  }
}

function deadline({ timeout_seconds }: Request): { timeoutMs?: number } {
  return timeout_seconds === undefined ? {} : { timeoutMs: timeout_seconds * 1000 };
}

function reconnection(told: Request) {
  const onConnection = (change: ConnectionChange) => {
    const { lost, attempt } = change;
    if (told.connection) say({ id: told.id, connection: { lost, attempt, error: lost ? plain(change.error) : null } });
  };
  return { ...deadline(told), waitForReady: told.wait_for_ready, onConnection };
}

/** The start of a request as the client takes it. */
function begin(start: WatchEventsRequest["start"], allUsers: boolean): EventsStart {
  if (start.case === "after") return { after: start.value };
  if (start.case === "cursor") return { cursor: start.value, allUsers: true };
  if (start.case === undefined) return { allUsers };
  return { from: start.value === LogPosition.BEGINNING ? "beginning" : "now", allUsers };
}

async function answer({ op, ...told }: Request & { op: string }): Promise<void> {
  const controller = new AbortController();
  open.set(told.id, controller);
  try {
    say({ id: told.id, ok: await operations[op]!(told, controller.signal) });
  } catch (error) {
    const isCancelled = controller.signal.aborted && error === controller.signal.reason;
    say({ id: told.id, error: isCancelled ? { status: "CANCELLED" } : plain(error) });
  } finally {
    open.delete(told.id);
  }
}

function plain(error: unknown): JsonValue {
  if (!(error instanceof ConnectError)) return { status: "UNKNOWN", message: String(error) };
  const status = Code[error.code]!.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  const message = error.rawMessage;
  if (!(error instanceof TillError)) return { status, message };
  const { tillCode: code, reason, retryAfterMs, oldestSequence } = error;
  const retry_seconds = retryAfterMs === undefined ? null : retryAfterMs / 1000;
  return { status, code, reason, message, retry_seconds, oldest_sequence: oldestSequence?.toString() ?? null };
}

function say(what: JsonValue): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => void answer(JSON.parse(line)))
  .on("close", () => open.forEach((controller) => controller.abort()));
