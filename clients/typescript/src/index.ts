/** Client of Till, for any transport of Connect. `lightning-till-client/node` and `/web` have this, and `connect`. */
export { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
export { Code, ConnectError } from "@connectrpc/connect";
export { tillError, type TillError } from "./errors.js";
export * from "./gen/till/v1/invoice_pb.js";
export * from "./gen/till/v1/invoice_service_pb.js";
export * from "./gen/till/v1/invreq_pb.js";
export * from "./gen/till/v1/invreq_service_pb.js";
export * from "./gen/till/v1/key_pb.js";
export * from "./gen/till/v1/key_service_pb.js";
export { Till } from "./till.js";
export type { WatchOptions } from "./watch.js";
