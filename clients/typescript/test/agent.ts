/** The agent of the TypeScript client: see clients/conformance/README.md. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fromJson, toJson, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import {
  Code,
  connect,
  ConnectError,
  InvoiceService,
  tillError,
  WatchInvoiceRequestSchema,
  WatchInvoiceResponseSchema,
  type Till,
} from "lightning-till-client/node";

type Call = (
  request: MessageShape<DescMessage>,
  options: { signal: AbortSignal; timeoutMs?: number },
) => Promise<MessageShape<DescMessage>>;

interface Told {
  id: number;
  address: string;
  key?: string;
  ca_file?: string;
  method: string;
  request: JsonValue;
  timeout_seconds?: number;
  call: number;
}

let till: Till;
const going = new Map<number, AbortController>();

const operations: Record<string, (told: Told, signal: AbortSignal) => Promise<JsonValue>> = {
  async connect({ address, key, ca_file }) {
    const tls = ca_file ? { ca: readFileSync(ca_file) } : undefined;
    till = connect(`${tls ? "https" : "http"}://${address}`, { key, tls });
    return {};
  },

  async call(told, signal) {
    const method = InvoiceService.methods.find(({ name }) => name === told.method);
    if (!method) throw new Error(`no such method: ${told.method}`);
    const call = (till.invoices as unknown as Record<string, Call>)[method.localName]!;
    const response = await call(fromJson(method.input, told.request), { signal, ...deadline(told) });
    return toJson(method.output, response);
  },

  async watch(told, signal) {
    const request = fromJson(WatchInvoiceRequestSchema, told.request);
    for await (const state of till.watch(request, { signal, ...deadline(told) })) {
      say({ id: told.id, event: toJson(WatchInvoiceResponseSchema, state) });
    }
    return {};
  },

  async cancel({ call }) {
    going.get(call)?.abort();
    return {};
  },
};

function deadline({ timeout_seconds }: Told): { timeoutMs?: number } {
  return timeout_seconds === undefined ? {} : { timeoutMs: timeout_seconds * 1000 };
}

async function answer({ op, ...told }: Told & { op: string }): Promise<void> {
  const controller = new AbortController();
  going.set(told.id, controller);
  try {
    say({ id: told.id, ok: await operations[op]!(told, controller.signal) });
  } catch (error) {
    say({ id: told.id, error: plain(error) });
  } finally {
    going.delete(told.id);
  }
}

function plain(error: unknown): JsonValue {
  const { code, rawMessage } = ConnectError.from(error);
  const status = code === Code.Canceled ? "CANCELLED" : Code[code]!.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  const { retryAfterMs, ...told } = tillError(error) ?? {};
  return { status, message: rawMessage, ...told, retry_seconds: retryAfterMs === undefined ? null : retryAfterMs / 1000 };
}

function say(what: JsonValue): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => void answer(JSON.parse(line)))
  .on("close", () => going.forEach((controller) => controller.abort()));
