/**
 * An API key or a watch token.
 * A function is called before each call and before each attempt of a watch or an event stream, for a key that rotates.
 * Its error ends the call or the loop. White space around a key is stripped; an empty key is none.
 */
export type Key = string | (() => string | Promise<string>);

/** Return a function that adds the key to the headers of a call. Throw TypeError for a malformed key. */
export function authorization(key: Key = ""): (header?: HeadersInit) => Promise<Headers> {
  if (typeof key === "string") checked(key);
  return async (header) => {
    const headers = new Headers(header);
    const value = checked(typeof key === "string" ? key : await key());
    if (value) headers.set("authorization", `Bearer ${value}`);
    return headers;
  };
}

function checked(key: string): string {
  const stripped = key.trim();
  if (key && !/^[!-~]+$/.test(stripped)) throw new TypeError("a key has printable ASCII only, without spaces");
  return stripped;
}

/** Return the URL of a Till. Throw TypeError for another URL, and for a key that the network could read. */
export function checkedUrl(text: string, key: Key | undefined, allowPlaintextKey: boolean | undefined): URL {
  const url = parsed(text);
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new TypeError(`not a URL of a Till: ${text}; use http://HOST:PORT, or https://HOST:PORT for TLS`);
  }
  if (key && url.protocol === "http:" && !allowPlaintextKey && !isLoopback(url.hostname)) {
    throw new TypeError("a key is sent without TLS to loopback only; use https://, or set allowPlaintextKey");
  }
  return url;
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** The hostname of a URL has its IPv4 and IPv6 addresses in their shortest form. */
function isLoopback(hostname: string): boolean {
  return /^((.+\.)?localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}
