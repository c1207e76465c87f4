const LEFT = Symbol("the caller has left the loop");

/** Items for one `for await` loop. `return` ends the loop immediately, even while `next()` is pending. */
export interface Loop<T> extends AsyncIterableIterator<T> {
  return(): Promise<IteratorResult<T, undefined>>;
}

/**
 * Iterate over the items of a generator.
 * Its calls need the signal of `stop`, which is aborted when the loop is left: Connect does not end them by itself.
 * An aborted `stop`, or the caller's signal, ends the loop with its reason.
 */
export function loop<T>(items: (stop: AbortController) => AsyncGenerator<T>, callers: AbortSignal | undefined): Loop<T> {
  const stop = new AbortController();
  const stoppable = until(stop, items, callers);
  return {
    next: () => stoppable.next(),
    async return() {
      // A generator returns only after its pending next(), so that one has to end first.
      stop.abort(LEFT);
      await stoppable.return(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* until<T>(
  stop: AbortController,
  items: (stop: AbortController) => AsyncGenerator<T>,
  callers: AbortSignal | undefined,
): AsyncGenerator<T, undefined, undefined> {
  const { signal } = stop;
  const abort = () => stop.abort(callers?.reason);
  callers?.addEventListener("abort", abort);
  if (callers?.aborted) abort();
  try {
    yield* items(stop);
  } catch (error) {
    if (signal.aborted && signal.reason === LEFT) return;
    throw signal.aborted ? signal.reason : error;
  } finally {
    callers?.removeEventListener("abort", abort);
    stop.abort(LEFT);
  }
}
