/** The client with Connect's transport in memory: what no case of the conformance suite shows. */
import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { inspect } from "node:util";
import { createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import {
  Code,
  connect,
  ConnectError,
  create,
  fromJson,
  InvoiceOrder,
  InvoiceSchema,
  InvoiceService,
  InvoiceStatus,
  ListInvoicesRequestSchema,
  Till,
  TillCode,
  TillError,
  toJson,
  type Key,
} from "lightning-till-client/node";
import { ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";

const unpaid = create(InvoiceSchema, { invoiceId: "one", amountMsat: 2n ** 53n + 1n, status: InvoiceStatus.UNPAID });
const notFound = new ConnectError("resource not found", Code.NotFound, undefined, [
  { desc: ErrorInfoSchema, value: { domain: "till", reason: "NOT_FOUND", metadata: { code: "E2" } } },
]);
const watching: Partial<ServiceImpl<typeof InvoiceService>> = {
  async *watchInvoice(_, { signal }) {
    yield { invoice: unpaid };
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  },
};

function tillWith(service: Partial<ServiceImpl<typeof InvoiceService>>, key?: Key): Till {
  return new Till(createRouterTransport(({ service: add }) => void add(InvoiceService, service)), { key });
}

test("return() ends a pending next()", { timeout: 5000 }, async () => {
  const watch = tillWith(watching).watch(unpaid);
  assert.equal((await watch.next()).value!.amountMsat, 2n ** 53n + 1n);
  const pending = watch.next();

  assert.deepEqual(await watch.return(), { done: true, value: undefined });

  assert.deepEqual(await pending, { done: true, value: undefined });
  assert.deepEqual(await watch.next(), { done: true, value: undefined });
});

test("leaving the loop ends the call", { timeout: 5000 }, async () => {
  let ended: Promise<unknown> | undefined;
  const till = tillWith({
    async *watchInvoice(_, { signal }) {
      ended = new Promise((resolve) => signal.addEventListener("abort", resolve));
      yield { invoice: unpaid };
      await ended;
    },
  });

  for await (const _ of till.watch(unpaid)) break;

  await ended;
});

test("a list fetches a page when the loop needs it, with the same filter", { timeout: 5000 }, async () => {
  const asked: object[] = [];
  const till = tillWith({
    listInvoices({ pageToken, pageSize, order, filter }) {
      asked.push({ pageToken, pageSize, order, type: filter?.type });
      const invoices = pageToken === "b" ? [] : [{ invoiceId: `${pageToken}1` }, { invoiceId: `${pageToken}2` }];
      return { invoices, nextPageToken: { a: "b", b: "c" }[pageToken] ?? "" };
    },
  });
  const rest = { pageSize: 2, order: InvoiceOrder.CREATED_ASC, type: "shop" };
  const list = till.list({ pageToken: "a", pageSize: 2, order: InvoiceOrder.CREATED_ASC, filter: { type: "shop" } });
  const seen = [];

  for (let count = 0; count < 2; count++) seen.push((await list.next()).value!.invoiceId);
  assert.deepEqual(asked, [{ pageToken: "a", ...rest }]);
  for await (const { invoiceId } of list) seen.push(invoiceId);

  assert.deepEqual(seen, ["a1", "a2", "c1", "c2"]);
  assert.deepEqual(asked, ["a", "b", "c"].map((pageToken) => ({ pageToken, ...rest })));
});

test("a list throws the error of a later page", async () => {
  const till = tillWith({
    listInvoices({ pageToken }) {
      if (pageToken) throw notFound;
      return { invoices: [unpaid], nextPageToken: "a" };
    },
  });
  const list = till.list();
  await list.next();

  await assert.rejects(list.next(), { tillCode: TillCode.NotFound });
  assert.deepEqual(await list.next(), { done: true, value: undefined });
});

test("a page that was lost is fetched again until its deadline", { timeout: 5000 }, async () => {
  let attempts = 0;
  const till = tillWith({
    listInvoices({ pageToken }) {
      attempts++;
      if (pageToken) throw new ConnectError("gone", Code.Unavailable);
      return { invoices: [unpaid], nextPageToken: "a" };
    },
  });
  const list = till.list({}, { timeoutMs: 200 });
  await list.next();

  // The last attempt may be in flight at the deadline.
  const isLate = ({ code }: ConnectError) => code === Code.Unavailable || code === Code.DeadlineExceeded;
  await assert.rejects(list.next(), isLate);

  assert(attempts > 2, `${attempts} attempts`);
});

test("a change of the request does not reach the next page", async () => {
  const asked: (string | undefined)[] = [];
  const till = tillWith({
    listInvoices({ pageToken, filter }) {
      asked.push(filter?.type);
      return { invoices: [unpaid], nextPageToken: pageToken ? "" : "a" };
    },
  });
  const request = create(ListInvoicesRequestSchema, { filter: { type: "shop" } });

  for await (const _ of till.list(request)) request.filter!.type = "tips";

  assert.deepEqual(asked, ["shop", "shop"]);
  assert.equal(request.pageToken, "");
});

test("an export writes a file, or fails", async () => {
  let complete = true;
  const till = tillWith({
    async *exportInvoices() {
      yield { csv: "id\r\n1\r\n", invoices: 1 };
      if (!complete) throw new ConnectError("gone", Code.Unavailable);
      yield { csv: "2\r\n", invoices: 1 };
    },
  });
  const file = () => new PassThrough({ encoding: "utf8" });
  const whole = file();

  await pipeline(till.exportCsv(), whole);

  assert.equal(whole.read(), "id\r\n1\r\n2\r\n");
  complete = false;
  await assert.rejects(pipeline(till.exportCsv(), file()), { code: Code.Unavailable, rawMessage: "gone" });
});

test("leaving the loop of an export ends the call", { timeout: 5000 }, async () => {
  let ended: Promise<unknown> | undefined;
  const till = tillWith({
    async *exportInvoices(_, { signal }) {
      ended = new Promise((resolve) => signal.addEventListener("abort", resolve));
      yield { csv: "id\r\n", invoices: 0 };
      await ended;
    },
  });

  for await (const _ of till.exportCsv()) break;

  await ended;
});

test("an aborted signal's reason is thrown", { timeout: 5000 }, async () => {
  const till = tillWith({ ...watching, getInfo: () => new Promise(() => {}) });
  const reason = new Error("the customer has left");
  const leaving = new AbortController();
  const call = till.invoices.getInfo({}, { signal: leaving.signal });
  const watch = till.watch(unpaid, { signal: leaving.signal });
  await watch.next();
  const pending = watch.next();

  leaving.abort(reason);

  const isReason = (error: unknown) => error === reason;
  await assert.rejects(call, isReason);
  await assert.rejects(pending, isReason);
  await assert.rejects(till.watch(unpaid, { signal: leaving.signal }).next(), isReason);
});

test("the error of a key function ends a call, a watch and a list", async () => {
  const failed = new ConnectError("the vault is closed", Code.Unavailable);
  const till = tillWith(watching, () => Promise.reject(failed));
  const keys = ["till_one"];
  const listing = tillWith({ listInvoices: () => ({ invoices: [unpaid], nextPageToken: "a" }) }, () => keys.pop() ?? Promise.reject(failed));
  const list = listing.list();
  await list.next();

  await assert.rejects(till.invoices.getInfo({}), (error) => error === failed);
  await assert.rejects(till.watch(unpaid, { waitForReady: true }).next(), (error) => error === failed);
  await assert.rejects(list.next(), (error) => error === failed);
});

test("a key function that hangs does not outlast the signal", { timeout: 5000 }, async () => {
  let asked = () => {};
  const till = tillWith(watching, () => (asked(), new Promise(() => {})));
  const watch = till.watch(unpaid);
  const pending = watch.next();
  const leaving = new AbortController();

  await watch.return();
  asked = () => leaving.abort();

  assert.equal((await pending).done, true);
  await assert.rejects(till.invoices.getInfo({}, { signal: leaving.signal }), { name: "AbortError" });
});

test("Till's errors have a code, and are a ConnectError", async () => {
  const till = tillWith({
    getInvoice: () => {
      throw notFound;
    },
    getInfo: () => {
      throw new ConnectError("try again later", Code.ResourceExhausted, undefined, [
        { desc: ErrorInfoSchema, value: { domain: "till", reason: "TOO_MANY", metadata: { code: "E7" } } },
        { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
      ]);
    },
    lookupInvoice: () => {
      throw new ConnectError("no", Code.NotFound);
    },
  });

  await assert.rejects(till.invoices.getInvoice({}), (error) => {
    assert(error instanceof TillError && error instanceof ConnectError);
    assert.equal(error.tillCode, TillCode.NotFound);
    assert.equal(error.code, Code.NotFound);
    assert.equal(error.reason, "NOT_FOUND");
    assert.equal(error.rawMessage, "resource not found");
    assert.equal(error.retryAfterMs, undefined);
    assert.equal(ConnectError.from(error), error);
    return true;
  });
  await assert.rejects(till.invoices.getInfo({}), { tillCode: "E7", retryAfterMs: 1500 });
  await assert.rejects(till.invoices.lookupInvoice({}), (error) => !(error instanceof TillError));
});

test("an invoice becomes JSON, and comes back", () => {
  const text = JSON.stringify(toJson(InvoiceSchema, unpaid));

  assert.equal(text, '{"invoiceId":"one","amountMsat":"9007199254740993","status":"INVOICE_STATUS_UNPAID"}');
  assert.deepEqual(fromJson(InvoiceSchema, JSON.parse(text)), unpaid);
});

test("a key is sent without TLS to loopback only", () => {
  const key = "till_secret";
  const refused = { name: "TypeError", message: /^a key is sent without TLS to loopback only; / };
  for (const host of ["localhost", "shop.localhost", "127.0.0.1", "127.9.8.7", "2130706433", "[::1]", "[0:0::1]"]) {
    connect(`http://${host}:1`, { key });
  }
  for (const host of ["0.0.0.0", "128.0.0.1", "10.0.0.1", "[::]", "localhost.example", "127.0.0.1.example", "mylocalhost"]) {
    assert.throws(() => connect(`http://${host}:1`, { key }), refused);
    assert.throws(() => connect(`http://${host}:1`, { key: () => key }), refused);
    connect(`http://${host}:1`, { key, allowPlaintextKey: true });
    connect(`https://${host}:1`, { key });
    connect(`http://${host}:1`);
  }
});

test("a client does not show its key", () => {
  const till = connect("http://127.0.0.1:1", { key: "till_secret" });

  assert.doesNotMatch(inspect(till, { depth: 9, showHidden: true }), /till_secret/);
});

test("an address that is not a URL of a Till is rejected", () => {
  for (const url of ["", "till.example", "127.0.0.1:50051", "ftp://till.example"]) {
    assert.throws(() => connect(url), { name: "TypeError", message: /^not a URL of a Till: / });
  }
  assert.throws(() => connect("http://127.0.0.1:1", { tls: {} }), TypeError);
});

test("a server that accepts connections and never speaks is given up after 5 s", { timeout: 10_000 }, async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const lost = { code: Code.Unavailable, rawMessage: "no connection within 5 s" };

  await Promise.all(
    ["http", "https"].map((scheme) => assert.rejects(connect(`${scheme}://127.0.0.1:${port}`).invoices.getInfo({}), lost)),
  );

  server.close();
});
