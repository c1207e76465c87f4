/** The client of Till for any transport of Connect. `lightning-till-client/node` and `/web` add `connect`. */
export { create, fromJson, toJson } from "@bufbuild/protobuf";
export { durationFromMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
export { Code, ConnectError } from "@connectrpc/connect";
export { TillCode, TillError } from "./errors.js";
export type { Events, EventsOptions, EventsStart } from "./events.js";
export * from "./gen/till/v1/event_pb.js";
export * from "./gen/till/v1/event_service_pb.js";
export * from "./gen/till/v1/invoice_pb.js";
export * from "./gen/till/v1/invoice_service_pb.js";
export * from "./gen/till/v1/invreq_pb.js";
export * from "./gen/till/v1/invreq_service_pb.js";
export * from "./gen/till/v1/key_pb.js";
export * from "./gen/till/v1/key_service_pb.js";
export type { Key } from "./keys.js";
export type { Loop } from "./loop.js";
export type { ConnectionChange, WatchOptions } from "./reconnect.js";
export { Till } from "./till.js";
export type { Watch } from "./watch.js";
