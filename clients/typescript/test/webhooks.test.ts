/** Webhooks with Connect's transport in memory: what no case of the conformance suite shows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import {
  Code,
  ConnectError,
  CreateWebhookResponseSchema,
  DeliveryState,
  EventService,
  InvoiceService,
  KeyService,
  Till,
  toJson,
  WebhookService,
} from "lightning-till-client/node";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

function tillWith(service: Partial<ServiceImpl<typeof WebhookService>>): Till {
  return new Till(createRouterTransport(({ service: add }) => void add(WebhookService, service)));
}

test("console.log shows no secret, and the caller reads it", async () => {
  const transport = createRouterTransport(({ service: add }) => {
    add(WebhookService, { createWebhook: () => ({ webhook: {}, secret }), rotateSecret: () => ({ webhook: {}, secret }) });
    add(InvoiceService, { createInvoice: () => ({ webhook: { id: "one", secret } }) });
    add(KeyService, { createKey: () => ({ token: secret }) });
  });
  const till = new Till(transport);

  const created = await till.webhooks.createWebhook({ url: "https://shop.example/till" });
  const rotated = await till.webhooks.rotateSecret({ id: "one" });
  const invoice = await till.invoices.createInvoice({ webhookUrl: "https://shop.example/till" });
  const key = await till.keys.createKey({});

  assert.deepEqual([created.secret, rotated.secret, invoice.webhook!.secret, key.token], Array(4).fill(secret));
  assert.deepEqual(toJson(CreateWebhookResponseSchema, created), { webhook: {}, secret });
  const shown = inspect([created, rotated, invoice, key], { depth: 9 });
  assert.match(shown, /id: 'one'/);
  assert.doesNotMatch(shown, /whsec_/);
});

test("an update changes only what it names", async () => {
  const asked: object[] = [];
  const till = tillWith({
    updateWebhook({ id, url, types, enabled }) {
      asked.push({ id, url, types: types?.types, enabled });
      return {};
    },
  });

  await till.webhooks.updateWebhook({ id: "one", enabled: true });
  await till.webhooks.updateWebhook({ id: "one", url: "https://shop.example/till", types: { types: [] } });

  const [url, types, enabled] = [undefined, undefined, undefined];
  assert.deepEqual(asked, [
    { id: "one", url, types, enabled: true },
    { id: "one", url: "https://shop.example/till", types: [], enabled },
  ]);
});

test("deliveries are those of all pages, also of one that was lost", { timeout: 5000 }, async () => {
  const asked: object[] = [];
  const till = tillWith({
    listDeliveries({ id, state, pageToken }) {
      asked.push({ id, state, pageToken });
      if (asked.length === 2) throw new ConnectError("gone", Code.Unavailable);
      return { deliveries: [{ eventId: `evt_${asked.length}` }], nextPageToken: pageToken ? "" : "a" };
    },
  });
  const seen = [];

  for await (const { eventId } of till.deliveries({ id: "one", state: DeliveryState.DEAD })) seen.push(eventId);

  assert.deepEqual(seen, ["evt_1", "evt_3"]);
  assert.deepEqual(asked, ["", "a", "a"].map((pageToken) => ({ id: "one", state: DeliveryState.DEAD, pageToken })));
});

test("a call about webhooks is sent once", async () => {
  let attempts = 0;
  const fail = () => {
    attempts++;
    throw new ConnectError("gone", Code.Unavailable);
  };
  const { webhooks } = tillWith({ createWebhook: fail, rotateSecret: fail, testWebhook: fail, redeliverEvent: fail, replayEvents: fail });

  for (const call of [
    webhooks.createWebhook({ url: "https://shop.example/till" }),
    webhooks.rotateSecret({ id: "one" }),
    webhooks.testWebhook({ id: "one" }),
    webhooks.redeliverEvent({ id: "one", eventId: "evt_1" }),
    webhooks.replayEvents({ id: "one", after: 4711n }),
  ]) {
    await assert.rejects(call, { code: Code.Unavailable });
  }

  assert.equal(attempts, 5);
});

test("the event of a disabled webhook says why", async () => {
  const disabledWebhook = { id: "one", url: "https://shop.example/till", reason: "the receiver answered 410" };
  const transport = createRouterTransport(({ service: add }) => {
    add(EventService, {
      async *watchEvents() {
        yield { events: [{ sequence: 1n, type: "webhook.disabled", data: { case: "disabledWebhook", value: disabledWebhook } }], nextAfter: 1n };
      },
    });
  });

  const { value: event } = await new Till(transport).events().next();

  assert(event!.data.case === "disabledWebhook");
  const { id, url, reason } = event!.data.value;
  assert.deepEqual({ id, url, reason }, disabledWebhook);
});
