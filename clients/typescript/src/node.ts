import type { SecureClientSessionOptions } from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { tillError } from "./errors.js";
import { authorization, protocolOf, Till } from "./till.js";

export * from "./index.js";

const CONNECT_TIMEOUT_MS = 5000;

/** How to connect from Node.js. */
export interface ConnectOptions {
  /** A key, or a watch token. */
  key?: string | undefined;
  /**
   * What Node.js takes for TLS, such as `ca`: the authorities to trust, as PEM, in the place of those that Node.js
   * trusts by default; `cert` and `key` show a certificate to the server.
   */
  tls?: SecureClientSessionOptions | undefined;
}

/**
 * Talks to a Till by gRPC: `connect("https://till.example:50051")`, or `http://` for one without TLS. Does not wait
 * for a connection: whether one can be had shows at the first call.
 *
 * @throws TypeError for what is no such URL, and no such key.
 */
export function connect(url: string, options: ConnectOptions = {}): Till {
  const isSecure = protocolOf(url) === "https:";
  if (options.tls && !isSecure) throw new TypeError(`with options for TLS the URL must begin with https: ${url}`);
  return new Till(
    createGrpcTransport({
      baseUrl: url,
      nodeOptions: { createConnection: (to) => openSocket(to, options.tls ?? {}), ...options.tls },
      // Else a watch would wait for ever for a server that left without a word.
      pingIntervalMs: 30_000,
      pingTimeoutMs: 10_000,
      interceptors: [...authorization(options.key), lostIsUnavailable],
    }),
  );
}

/** A socket as Node.js makes it, but given up where nobody answers: Node.js would wait for minutes. */
function openSocket({ protocol, hostname, port }: URL, options: SecureClientSessionOptions): Socket {
  const host = hostname.replace(/^\[|\]$/g, "");
  const isSecure = protocol === "https:";
  const socket = isSecure
    ? connectTls({ ALPNProtocols: ["h2"], host, port: Number(port || 443), ...(!isIP(host) && { servername: host }), ...options })
    : connectTcp({ host, port: Number(port || 80) });
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
    socket.destroy(Object.assign(new Error("no connection within 5 s"), { code: "ETIMEDOUT" }));
  });
  return socket.once(isSecure ? "secureConnect" : "connect", () => socket.setTimeout(0));
}

/** A connection that breaks ends its calls as aborted or canceled in Node.js: in gRPC that is UNAVAILABLE. */
const lostIsUnavailable: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: translated(response.message, request.signal) } : response;
  } catch (error) {
    throw translate(error, request.signal);
  }
};

async function* translated<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw translate(error, signal);
  }
}

function translate(error: unknown, signal: AbortSignal): unknown {
  const { code, rawMessage } = ConnectError.from(error);
  const isLost = (code === Code.Aborted || code === Code.Canceled) && !signal.aborted && !tillError(error);
  return isLost ? new ConnectError(rawMessage, Code.Unavailable, undefined, undefined, error) : error;
}
