import type { SecureClientSessionOptions } from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { checkedUrl, type Key } from "./keys.js";
import { Till } from "./till.js";

export * from "./index.js";

const CONNECT_TIMEOUT_MS = 5000;

/** Options of a connection from Node.js. */
export interface ConnectOptions {
  /** An API key, or a watch token. */
  key?: Key | undefined;
  /** Whether to send the key without TLS beyond loopback, where the network can read it. */
  allowPlaintextKey?: boolean | undefined;
  /**
   * TLS options of Node.js. `ca` replaces the authorities that Node.js trusts by default, in PEM;
   * `cert` and `key` are a client certificate.
   */
  tls?: SecureClientSessionOptions | undefined;
}

/**
 * Create a client that uses gRPC: `connect("https://till.example:50051")`, or `http://` without TLS.
 * It connects at the first call.
 *
 * @throws TypeError for another URL, a malformed key, and a key without TLS beyond loopback.
 */
export function connect(url: string, { key, allowPlaintextKey, tls }: ConnectOptions = {}): Till {
  const { protocol } = checkedUrl(url, key, allowPlaintextKey);
  if (tls && protocol !== "https:") throw new TypeError(`the option tls needs a URL with https://, not ${url}`);
  const transport = createGrpcTransport({
    baseUrl: url,
    nodeOptions: { createConnection: (to) => openSocket(to, tls ?? {}), ...tls },
    // Without pings a silent watch would not notice a network that drops its packets.
    pingIntervalMs: 30_000,
    pingTimeoutMs: 10_000,
  });
  return new Till(transport, { key });
}

/** Open a socket as Node.js does, but close it if the server sends nothing in time: Node.js waits for minutes. */
function openSocket({ protocol, hostname, port }: URL, options: SecureClientSessionOptions): Socket {
  const host = hostname.replace(/^\[|\]$/g, "");
  const socket =
    protocol === "https:"
      ? connectTls({ ALPNProtocols: ["h2"], host, port: Number(port || 443), ...(!isIP(host) && { servername: host }), ...options })
      : connectTcp({ host, port: Number(port || 80) });
  const timer = setTimeout(() => {
    // In HTTP/2 each side begins with its settings.
    if (!socket.bytesRead) socket.destroy(Object.assign(new Error("no connection within 5 s"), { code: "ETIMEDOUT" }));
  }, CONNECT_TIMEOUT_MS).unref();
  return socket.once("close", () => clearTimeout(timer));
}
