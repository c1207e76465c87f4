import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { authorization, protocolOf, Till } from "./till.js";

export * from "./index.js";

/** How to connect from a browser. */
export interface ConnectOptions {
  /** A key, or a watch token. A page for payers gets no key but a watch token. */
  key?: string | undefined;
}

/**
 * Talks to a Till by gRPC-Web, as Envoy serves it at the address of REST: `connect("https://till.example")`. Where the
 * page comes from elsewhere, Till must run with `--cors-origin`.
 *
 * @throws TypeError for what is no such URL, and no such key.
 */
export function connect(url: string, options: ConnectOptions = {}): Till {
  protocolOf(url);
  return new Till(createGrpcWebTransport({ baseUrl: url, interceptors: authorization(options.key) }));
}
