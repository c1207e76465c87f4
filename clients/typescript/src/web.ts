import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { checkedUrl, type Key } from "./keys.js";
import { Till } from "./till.js";

export * from "./index.js";

/** Options of a connection from a browser. */
export interface ConnectOptions {
  /** A watch token, or a key. A page for payers must never get a key. */
  key?: Key | undefined;
  /** Whether to send the key without TLS beyond loopback, where the network can read it. */
  allowPlaintextKey?: boolean | undefined;
}

/**
 * Create a client that uses gRPC-Web at the address of REST, where Envoy serves it: `connect("https://till.example")`.
 * For a page of another origin Till must run with `--cors-origin`.
 *
 * @throws TypeError for another URL, a malformed key, and a key without TLS beyond loopback.
 */
export function connect(url: string, { key, allowPlaintextKey }: ConnectOptions = {}): Till {
  const { origin } = checkedUrl(url, key, allowPlaintextKey);
  return new Till(createGrpcWebTransport({ baseUrl: url, fetch: fetchFrom(origin) }), { key });
}

/** Return a fetch that fails with UNAVAILABLE. The browser itself does not say whether CORS is the reason. */
function fetchFrom(origin: string): typeof globalThis.fetch {
  return async (input, init) => {
    try {
      return await fetch(input, init);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      const page = globalThis.location?.origin;
      const rule = page && page !== origin ? `, or does not allow pages of ${page} (--cors-origin)` : "";
      const message = `Till at ${origin} cannot be reached${rule}: ${error.message}`;
      throw new ConnectError(message, Code.Unavailable, undefined, undefined, error);
    }
  };
}
