import { Code, ConnectError } from "@connectrpc/connect";
import { isLoss, pause, pauseAfter } from "./losses.js";

/** A change of the connection of a watch or an event stream. */
export type ConnectionChange =
  | {
      /** The connection was lost, or an attempt to reconnect failed. */
      readonly lost: true;
      /** The number of losses in a row, from 1. */
      readonly attempt: number;
      /** The reason of the loss. */
      readonly error: ConnectError;
    }
  | {
      /** The connection is back: messages arrive again. */
      readonly lost: false;
      /** The number of losses before. */
      readonly attempt: number;
    };

/** Options of a watch or an event stream. */
export interface WatchOptions {
  /** Milliseconds for all connections together. Default: no deadline. */
  timeoutMs?: number | undefined;
  /** Ends the loop when it is aborted. The loop then throws its `reason`. */
  signal?: AbortSignal | undefined;
  /** Whether to reconnect before the first message too. Default: the loop then fails like a call. */
  waitForReady?: boolean | undefined;
  /** Called with each loss of the connection, and when it is back. An error that it throws ends the loop. */
  onConnection?: ((change: ConnectionChange) => void) | undefined;
}

/** Gets the key, and returns the call of one attempt. An error of the key function ends the loop. */
export type Prepare<T> = (signal: AbortSignal) => Promise<(signal: AbortSignal) => AsyncIterable<T>>;

/** A stream that is opened again when it is lost. */
export interface Stream<T> {
  readonly prepare: Prepare<T>;
  /** Its name in errors. */
  readonly name: string;
  /** The error if the server ends it. */
  readonly early: string;
  /** Milliseconds without a message after which the connection is lost. Undefined: a stream may be silent. */
  readonly silenceMs?: number;
}

/** Yield the messages of a stream over all its connections. */
export async function* reconnecting<T>(
  { prepare, name, early, silenceMs }: Stream<T>,
  stop: AbortController,
  { timeoutMs, waitForReady = false, onConnection }: WatchOptions,
): AsyncGenerator<T> {
  const { signal } = stop;
  let reconnects = waitForReady;
  let losses = 0;
  let lastLoss: ConnectError | undefined;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => stop.abort(tooLate(name, lastLoss)), timeoutMs);
  try {
    while (true) {
      const call = await prepare(signal);
      try {
        for await (const message of audible(call, signal, silenceMs)) {
          reconnects = true;
          if (losses) onConnection?.({ lost: false, attempt: losses });
          losses = 0;
          yield message;
        }
        lastLoss = new ConnectError(early, Code.Unavailable);
      } catch (error) {
        if (signal.aborted || !isLoss(error)) throw error;
        lastLoss = error;
      }
      if (!reconnects) throw lastLoss;
      onConnection?.({ lost: true, attempt: ++losses, error: lastLoss });
      await pause(pauseAfter(lastLoss, losses), signal);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Yield the messages of a call. It fails if it is silent for too long while a message is awaited. */
async function* audible<T>(
  call: (signal: AbortSignal) => AsyncIterable<T>,
  signal: AbortSignal,
  silenceMs: number | undefined,
): AsyncGenerator<T> {
  if (silenceMs === undefined) return yield* call(signal);
  // A proxy may answer pings for a Till that is gone, and a browser sends none.
  const silence = new ConnectError(`the connection to Till was lost: no response for ${silenceMs / 1000} s`, Code.Unavailable);
  const attempt = new AbortController();
  const abort = () => attempt.abort(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    const messages = call(attempt.signal)[Symbol.asyncIterator]();
    while (true) {
      const timer = setTimeout(() => attempt.abort(silence), silenceMs);
      const next = await messages.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function tooLate(name: string, lastLoss: ConnectError | undefined): ConnectError {
  const lost = lastLoss ? `; its connection was lost before: ${lastLoss.rawMessage}` : "";
  return new ConnectError(`the ${name} has reached its deadline${lost}`, Code.DeadlineExceeded, undefined, undefined, lastLoss);
}
