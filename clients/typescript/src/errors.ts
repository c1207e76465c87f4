import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema, type ErrorInfo } from "./gen/google/rpc/error_details_pb.js";

/** The documented codes. A newer Till may send others. */
export const TillCode = {
  /** Till or its node has a fault; Till's log has the details. */
  Internal: "E0",
  /** The request is wrong; the message names the field and the limit. */
  InvalidRequest: "E1",
  /** The resource does not exist, or belongs to another user. */
  NotFound: "E2",
  /** The call needs a key, or the key is unknown, expired or revoked. */
  Unauthenticated: "E3",
  /** The key has no scope for the call, or is for another type. */
  PermissionDenied: "E4",
  /** The label is in use for another request, or the invoice cannot be canceled any more; the message says why. */
  Conflict: "E5",
  /** A value exceeds a limit in bytes. */
  TooLarge: "E6",
  /** The key exceeds a limit; retry after `retryAfterMs`. */
  TooMany: "E7",
  /** The node is offline, or Till cannot serve the call now; retry later. */
  Unavailable: "E8",
  /** A time-out at Till. The outcome of the call is unknown. */
  TookTooLong: "E9",
  /** Till does not have this method; it is older than the client. */
  NoSuchMethod: "E10",
  /** The invoice request is disabled or collected. */
  NotActive: "E11",
  /** The invoice request has expired. */
  Expired: "E12",
  /** No route leads to the node that made the invoice request. */
  Unreachable: "E13",
  /** The node that made the invoice request refuses to pay. */
  Refused: "E14",
  /** The node that made the invoice request did not pay in time; the invoice can no longer be paid. */
  NotPaid: "E15",
  /** Events after the start were removed; `oldestSequence` has the oldest one that is left. */
  EventsGone: "E16",
} as const;

/** A documented code, such as `TillCode.NotFound`, which equals `"E2"`. */
export type TillCode = (typeof TillCode)[keyof typeof TillCode];

/**
 * An error that Till returned: a `ConnectError` with Till's code.
 * Errors without an answer of Till, such as a lost connection or a deadline, are plain `ConnectError`s.
 */
export class TillError extends ConnectError {
  /** The documented code. Other texts are codes of a newer Till. */
  readonly tillCode: TillCode | (string & {});
  /** The reason of google.rpc.ErrorInfo, such as `NOT_FOUND` or `NODE_OFFLINE`. */
  readonly reason: string;
  /** Milliseconds to wait before a retry; undefined: unknown. */
  readonly retryAfterMs: number | undefined;
  /** With `TillCode.EventsGone`: the sequence of the oldest event left. Undefined with `allUsers`. */
  readonly oldestSequence: bigint | undefined;

  /** For tests of your own: the client creates one from each answer of Till that is an error. */
  constructor(
    message: string,
    code: Code,
    tillCode: TillCode | (string & {}),
    reason: string,
    options: { retryAfterMs?: number | undefined; oldestSequence?: bigint | undefined; metadata?: HeadersInit; cause?: unknown } = {},
  ) {
    super(message, code, options.metadata, undefined, options.cause);
    this.tillCode = tillCode;
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
    this.oldestSequence = options.oldestSequence;
  }

  /** ConnectError's own is true for each ConnectError. */
  static override [Symbol.hasInstance](value: unknown): value is TillError {
    return Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/**
 * Return the error to throw for a failed call: the reason of the caller's signal, a TillError, or a ConnectError.
 * The connection was lost if the status is UNAVAILABLE.
 */
export function errorOf(failed: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  const error = ConnectError.from(failed);
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "till");
  if (info?.metadata["code"]) return tillError(error, info, info.metadata["code"]);
  // A broken connection in Node.js, or a server's CANCELLED. The caller's own cancel was handled above.
  return error.code === Code.Aborted || error.code === Code.Canceled
    ? new ConnectError(`the connection to Till was lost: ${error.rawMessage}`, Code.Unavailable, error.metadata, undefined, error)
    : error;
}

function tillError(error: ConnectError, info: ErrorInfo, code: string): TillError {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const oldest = info.metadata["oldest_sequence"];
  const told = new TillError(error.rawMessage, error.code, code, info.reason, {
    retryAfterMs: delay && durationMs(delay),
    oldestSequence: oldest && /^\d+$/.test(oldest) ? BigInt(oldest) : undefined,
    metadata: error.metadata,
  });
  told.details = error.details;
  return told;
}
