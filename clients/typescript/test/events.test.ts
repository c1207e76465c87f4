/** Event streams with Connect's transport in memory: what no case of the conformance suite shows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import {
  Code,
  ConnectError,
  EventService,
  LogPosition,
  Till,
  TillCode,
  type EventsOptions,
  type Key,
  type WatchEventsRequest,
  type WatchEventsResponseSchema,
} from "lightning-till-client/node";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";

type Message = MessageInitShape<typeof WatchEventsResponseSchema> | ConnectError | typeof silence;

const silence = Symbol("no message until the call ends");
const lost = new ConnectError("gone", Code.Unavailable);
const forbidden = new ConnectError("no scope", Code.PermissionDenied, undefined, [info("E4", {})]);
const limit = { timeout: 5000 };

function info(code: string, more: Record<string, string>) {
  return { desc: ErrorInfoSchema, value: { domain: "till", reason: "REASON", metadata: { code, ...more } } };
}

/** A Till whose streams have these messages, one stream after the other; the last one then stays open. */
function tillWith(streams: Message[][], key?: Key) {
  const asked: WatchEventsRequest[] = [];
  const signals: AbortSignal[] = [];
  const service = {
    async *watchEvents(request: WatchEventsRequest, { signal }: { signal: AbortSignal }) {
      asked.push(request);
      signals.push(signal);
      const end = new Promise((resolve) => signal.addEventListener("abort", resolve));
      for (const message of streams[asked.length - 1] ?? []) {
        if (message instanceof ConnectError) throw message;
        if (message === silence) await end;
        else yield message;
      }
      if (asked.length >= streams.length) await end;
    },
  };
  const till = new Till(createRouterTransport(({ service: add }) => void add(EventService, service)), { key });
  return { till, asked, signals };
}

function batch(...sequences: bigint[]): Message {
  return { events: sequences.map((sequence) => ({ sequence })), nextAfter: sequences.at(-1)! };
}

async function take(till: Till, count: number, options?: EventsOptions): Promise<bigint[]> {
  const sequences = [];
  for await (const { sequence } of till.events(options)) if (sequences.push(sequence) === count) break;
  return sequences;
}

test("a lost stream continues behind its last event, and gives each event once", limit, async () => {
  const { till, asked } = tillWith([[batch(8n, 9n), lost], [batch(9n, 10n)], [batch(11n)]]);

  assert.deepEqual(await take(till, 4, { after: 7n }), [8n, 9n, 10n, 11n]);

  assert.deepEqual(asked.map(({ start }) => start.value), [7n, 9n, 10n]);
});

test("a heartbeat moves the place where a filtered stream continues", limit, async () => {
  const types = ["invoice.paid"];
  const { till, asked } = tillWith([[{ nextAfter: 20n }, { nextAfter: 35n }, lost], [batch(36n)]]);
  const events = till.events({ types, metadataType: "shop" });
  types.push("invoice.expired");

  assert.equal((await events.next()).value!.sequence, 36n);

  assert.deepEqual(asked.map(({ start }) => start.value), [LogPosition.NOW, 35n]);
  for (const { filter } of asked) {
    assert.deepEqual([filter?.types, filter?.metadataType], [["invoice.paid"], "shop"]);
  }
});

test("the start is a sequence, the beginning or now, and now by default", limit, async () => {
  const now = { case: "from", value: LogPosition.NOW };
  for (const [options, start] of [
    [undefined, now],
    [{ from: "now" }, now],
    [{ from: "beginning" }, { case: "from", value: LogPosition.BEGINNING }],
    [{ after: 0n }, { case: "after", value: 0n }],
    [{ from: "beginning", allUsers: true }, { case: "from", value: LogPosition.BEGINNING }],
    [{ cursor: "c1", allUsers: true }, { case: "cursor", value: "c1" }],
  ] as const) {
    const { till, asked } = tillWith([[batch(1n)]]);
    await take(till, 1, options);
    assert.deepEqual(asked[0]!.start, start);
    assert.equal(asked[0]!.allUsers, options !== undefined && "allUsers" in options);
  }
});

test("the log of all users continues at its cursor, and has the sequences of each user", limit, async () => {
  const events = [
    { sequence: 5n, cursor: "c1" },
    { sequence: 2n, cursor: "c2" },
  ];
  const { till, asked } = tillWith([[{ events, nextCursor: "c2" }, { nextCursor: "c4" }, lost], [{ events: [{ sequence: 3n }] }]]);

  assert.deepEqual(await take(till, 3, { from: "beginning", allUsers: true }), [5n, 2n, 3n]);

  assert.deepEqual(asked[1]!.start, { case: "cursor", value: "c4" });
});

test("a stream that is silent for 45 s is lost, however long the loop takes for an event", limit, async ({ mock }) => {
  const { till, asked } = tillWith([[batch(1n), batch(2n), silence], [batch(3n)]]);
  const changes: string[] = [];
  mock.timers.enable({ apis: ["setTimeout"] });
  const events = till.events({ onConnection: (change) => changes.push(change.lost ? change.error.rawMessage : "back") });
  await events.next();

  mock.timers.tick(3_600_000);
  assert.equal((await events.next()).value!.sequence, 2n);
  const pending = events.next();
  let seconds = 0;
  for (; asked.length < 2; seconds++) {
    await new Promise(setImmediate);
    mock.timers.tick(1000);
  }

  assert.equal((await pending).value!.sequence, 3n);
  assert(45 <= seconds && seconds <= 47, `lost after ${seconds} s`);
  assert.equal(asked[1]!.start.value, 2n);
  assert.deepEqual(changes, ["the connection to Till was lost: no response for 45 s", "back"]);
});

test("before its first message a stream fails like a call, unless it waits for ready", limit, async () => {
  await assert.rejects(take(tillWith([[lost], [batch(1n)]]).till, 1), { code: Code.Unavailable, rawMessage: "gone" });
  const { till, asked } = tillWith([[lost], [batch(1n)]]);

  assert.deepEqual(await take(till, 1, { waitForReady: true }), [1n]);

  assert.equal(asked[1]!.start.value, LogPosition.NOW);
});

test("an error that waiting does not cure ends a stream", limit, async () => {
  const { till, asked } = tillWith([[{ nextAfter: 7n }, lost], [forbidden]]);

  await assert.rejects(take(till, 1), { tillCode: TillCode.PermissionDenied });

  assert.equal(asked.length, 2);
});

test("the error of a gap has the oldest sequence that is left", limit, async () => {
  const gone = (more: Record<string, string>) => new ConnectError("removed", Code.OutOfRange, undefined, [info("E16", more)]);

  const read = take(tillWith([[gone({ oldest_sequence: "9007199254740993" })]]).till, 1, { after: 5n });
  await assert.rejects(read, { tillCode: TillCode.EventsGone, code: Code.OutOfRange, oldestSequence: 9007199254740993n });
  await assert.rejects(take(tillWith([[gone({})]]).till, 1), { tillCode: "E16", oldestSequence: undefined });
});

test("leaving the loop ends the call, and a pending next()", limit, async () => {
  const { till, signals } = tillWith([[batch(1n)]]);
  const events = till.events();
  await events.next();
  const pending = events.next();

  await events.return();

  assert.deepEqual(await pending, { done: true, value: undefined });
  assert(signals[0]!.aborted);
});

test("an aborted signal's reason is thrown, and a deadline names the last loss", limit, async () => {
  const leaving = new AbortController();
  const events = tillWith([[batch(1n)]]).till.events({ signal: leaving.signal });
  await events.next();
  const pending = events.next();
  const reason = new Error("the shop closes");

  leaving.abort(reason);

  await assert.rejects(pending, (error) => error === reason);
  const late = take(tillWith([[{}, lost], []]).till, 1, { timeoutMs: 300 });
  await assert.rejects(late, { code: Code.DeadlineExceeded, rawMessage: /^the event stream has reached its deadline; .*gone$/ });
});

test("the key function is called before each attempt, and its error ends a stream", limit, async () => {
  const failed = new ConnectError("the vault is closed", Code.Unavailable);
  const keys = ["till_one"];
  const { till, asked } = tillWith([[{}, lost]], () => keys.pop() ?? Promise.reject(failed));

  await assert.rejects(take(till, 1), (error) => error === failed);

  assert.equal(asked.length, 1);
});
