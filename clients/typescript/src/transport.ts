import type { Transport } from "@connectrpc/connect";
import { errorOf } from "./errors.js";

/** Return a transport whose calls throw the errors of this client. */
export function withErrors(transport: Transport): Transport {
  return {
    async unary(method, signal, ...rest) {
      try {
        return await transport.unary(method, signal, ...rest);
      } catch (error) {
        throw errorOf(error, signal);
      }
    },
    async stream(method, signal, ...rest) {
      try {
        const response = await transport.stream(method, signal, ...rest);
        return { ...response, message: messages(response.message, signal) };
      } catch (error) {
        throw errorOf(error, signal);
      }
    },
  };
}

async function* messages<T>(received: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  try {
    yield* received;
  } catch (error) {
    throw errorOf(error, signal);
  }
}

/** Return a transport that adds headers to each call. */
export function withHeaders(transport: Transport, add: (header?: HeadersInit) => Promise<Headers>): Transport {
  return {
    async unary(method, signal, timeoutMs, header, ...rest) {
      return transport.unary(method, signal, timeoutMs, await orAborted(add(header), signal), ...rest);
    },
    async stream(method, signal, timeoutMs, header, ...rest) {
      return transport.stream(method, signal, timeoutMs, await orAborted(add(header), signal), ...rest);
    },
  };
}

/** Return a transport whose responses do not show a secret in `console.log`. Reading the field and `toJson` still do. */
export function withHiddenSecrets(transport: Transport): Transport {
  return {
    async unary(...call) {
      const response = await transport.unary(...call);
      hideSecrets(response.message);
      return response;
    },
    stream: (...call) => transport.stream(...call),
  };
}

function hideSecrets(message: object): void {
  // The secret of a webhook, and the token of a key.
  for (const name of ["secret", "token"]) if (name in message) Object.defineProperty(message, name, { enumerable: false });
  if ("webhook" in message && message.webhook instanceof Object) hideSecrets(message.webhook);
}

/** Wait for a promise, but throw the reason of the signal when it is aborted. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  let abort: () => void;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort!);
  }
}
