import { ConnectError } from "@connectrpc/connect";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** What Till says of an error, beyond the status of gRPC. */
export interface TillError {
  /** The documented code, such as `E2`. */
  readonly code: string;
  /** The same as a name, such as `NOT_FOUND`. */
  readonly reason: string;
  /** What was wrong, for people. */
  readonly message: string;
  /** When to try again, in milliseconds from now, where Till says so. */
  readonly retryAfterMs?: number;
}

/**
 * Tells what Till says of an error that a call has thrown; nothing where the error is not Till's own, such as a lost
 * connection or a deadline. The status of gRPC is `ConnectError.from(error).code`.
 */
export function tillError(error: unknown): TillError | undefined {
  const thrown = ConnectError.from(error);
  const info = thrown.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "till");
  const code = info?.metadata["code"];
  if (!info || !code) return undefined;
  const told = { code, reason: info.reason, message: thrown.rawMessage };
  const delay = thrown.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay ? { ...told, retryAfterMs: durationMs(delay) } : told;
}
