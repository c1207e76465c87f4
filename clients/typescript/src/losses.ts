import { Code, ConnectError } from "@connectrpc/connect";
import { TillError } from "./errors.js";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1500;

/** Whether a retry may help. A proxy reports a lost connection as INTERNAL or UNKNOWN, too. */
export function isLoss(error: unknown): error is ConnectError {
  if (error instanceof TillError) return error.code === Code.Unavailable || error.retryAfterMs !== undefined;
  return error instanceof ConnectError && [Code.Unavailable, Code.Internal, Code.Unknown].includes(error.code);
}

/** Return the milliseconds before the next attempt, with jitter, so that clients do not come back together. */
export function pauseAfter(loss: ConnectError, losses: number): number {
  const asked = loss instanceof TillError ? loss.retryAfterMs : undefined;
  if (asked !== undefined) return asked * (1 + Math.random() / 2);
  return Math.min(FIRST_PAUSE_MS * 2 ** (losses - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
}

/** Wait, or throw the reason of the signal when it is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal.removeEventListener("abort", abort), resolve()), ms);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
}
