import { create } from "@bufbuild/protobuf";
import type { Event } from "./gen/till/v1/event_pb.js";
import {
  LogPosition,
  WatchEventsRequestSchema,
  type WatchEventsRequest,
  type WatchEventsResponse,
} from "./gen/till/v1/event_service_pb.js";
import { loop, type Loop } from "./loop.js";
import { reconnecting, type Prepare, type WatchOptions } from "./reconnect.js";

/** Three heartbeats. */
const SILENCE_MS = 45_000;

/** Where an event stream begins: at most one of these. None: from now on. */
export type EventsStart =
  | {
      /** Behind the event with this sequence, the last one that was handled. 0n: before the first event. */
      after: bigint;
      from?: undefined;
      cursor?: undefined;
      allUsers?: false | undefined;
    }
  | {
      /** Before the oldest event that is left, or behind the newest one. */
      from?: "beginning" | "now" | undefined;
      after?: undefined;
      cursor?: undefined;
      /** Whether to read the logs of all users. Needs the scope admin. */
      allUsers?: boolean | undefined;
    }
  | {
      /** Behind the event of any user with this `cursor`. */
      cursor: string;
      after?: undefined;
      from?: undefined;
      allUsers: true;
    };

/** Options of an event stream: where it begins, which events it has, and those of a watch. */
export type EventsOptions = EventsStart &
  WatchOptions & {
    /** Any of these types, such as `["invoice.paid"]`. Default: every type. */
    types?: readonly string[] | undefined;
    /** Only events of invoices with this type in their metadata. */
    metadataType?: string | undefined;
  };

/** Events, for one `for await` loop. `return` ends the stream immediately. */
export type Events = Loop<Event>;

/** Gets the key, and returns the call of one attempt. */
export type PrepareEvents = (
  request: WatchEventsRequest,
  signal: AbortSignal,
) => ReturnType<Prepare<WatchEventsResponse>>;

/** Read events through lost connections: see `Till.events`. */
export function events(prepare: PrepareEvents, options: EventsOptions = {}): Events {
  const { types = [], metadataType, allUsers = false, signal, ...rest } = options;
  // Created here, so that a change by the caller does not reach the next attempt.
  const request = create(WatchEventsRequestSchema, {
    start: startOf(options),
    filter: { types: [...types], ...(metadataType !== undefined && { metadataType }) },
    allUsers,
  });
  const stream = {
    prepare: (signal: AbortSignal) => prepare(request, signal),
    name: "event stream",
    early: "the event stream ended",
    silenceMs: SILENCE_MS,
  };
  return loop(async function* (stop) {
    // Sequences begin at 1.
    let last = options.after ?? 0n;
    for await (const { events, nextAfter, nextCursor } of reconnecting(stream, stop, rest)) {
      // Set even if there are no events, so that a filtered stream continues at the end of the log.
      request.start = allUsers ? { case: "cursor", value: nextCursor } : { case: "after", value: nextAfter };
      for (const event of events) {
        if (!allUsers) {
          if (event.sequence <= last) continue;
          last = event.sequence;
        }
        yield event;
      }
    }
  }, signal);
}

function startOf({ after, cursor, from = "now" }: EventsOptions): WatchEventsRequest["start"] {
  if (after !== undefined) return { case: "after", value: after };
  if (cursor !== undefined) return { case: "cursor", value: cursor };
  return { case: "from", value: from === "beginning" ? LogPosition.BEGINNING : LogPosition.NOW };
}
