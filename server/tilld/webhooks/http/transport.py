"""Connections to receivers, made with aiohttp. Each goes to an address that was checked just before."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from importlib.metadata import version

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from tilld.webhooks.http.resolver import Resolver
from tilld.webhooks.http.targets import NOT_ALLOWED, Targets

# Most bytes of a body that are read, so that its connection can be used again.
MAX_BODY_BYTES = 16 * 1024
MAX_FIELD_BYTES = 8190

# OpenSSL's numbers of errors, in x509_vfy.h.
_EXPIRED = {10}
_WRONG_HOST = {62, 64}
_UNKNOWN_ISSUER = {2, 18, 19, 20, 21}


class NotAllowed(OSError):
    """The address is not allowed."""


class _Attempt:
    """The URL of a post, for the check of its addresses, and whether the post made a connection."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.connects = False


_attempt: ContextVar[_Attempt] = ContextVar("_attempt")


class Answer:
    """The head of an answer."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.retry_after = response.headers.get("Retry-After")

    async def discard_body(self, deadline: float) -> None:
        """Read a short body until a time of the loop's clock. The connection of others is closed."""
        body, left = self._response.content, MAX_BODY_BYTES
        try:
            if (self._response.content_length or 0) <= left:
                # The body may be broken, too.
                with suppress(TimeoutError, aiohttp.ClientError, OSError):
                    async with asyncio.timeout_at(deadline):
                        while chunk := await body.read(left):
                            left -= len(chunk)
        finally:
            # This keeps a connection whose body has ended.
            self._response.close()


class Transport:
    """A pool of connections."""

    def __init__(
        self,
        targets: Targets,
        idle_seconds: float,
        resolver: AbstractResolver | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._targets = targets
        connector = aiohttp.TCPConnector(
            resolver=resolver or Resolver(),
            # True is a context of aiohttp that trusts the system's CAs.
            ssl=tls or True,
            socket_factory=self._checked_socket,
            keepalive_timeout=idle_seconds,
            # The sender limits the posts.
            limit=0,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            # The caller has one time-out for all.
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"Till/{version('lightning-till')}", "Content-Type": "application/json"},
            skip_auto_headers=("Accept", "Accept-Encoding"),
            auto_decompress=False,
            trust_env=False,
            # The reading pauses at twice this size.
            read_bufsize=MAX_BODY_BYTES // 2,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
        )

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body, and return the head of the answer.

        Raises ConnectionError without an answer; its message is for the shop's owner.
        """
        attempt = _Attempt(url)
        _attempt.set(attempt)
        while True:
            try:
                response = await self._session.post(
                    url, headers=dict(headers), data=body, allow_redirects=False
                )
            except (aiohttp.ClientError, OSError) as failure:
                # A receiver may close a kept connection at the moment of the post: that is no failure of it.
                if attempt.connects or not _is_lost(failure):
                    raise ConnectionError(explain(failure)) from failure
            else:
                return Answer(response)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _checked_socket(self, info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Return the socket for a connection. aiohttp connects it to the address in `info`."""
        family, kind, protocol, _, address = info
        attempt = _attempt.get()
        attempt.connects = True
        if not self._targets.allows(attempt.url.scheme, attempt.url.raw_host or "", str(address[0])):
            raise NotAllowed(NOT_ALLOWED)
        return socket.socket(family, kind, protocol)


def _is_lost(failure: Exception) -> bool:
    if isinstance(failure, aiohttp.ClientConnectorError):
        return False
    return isinstance(failure, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))


def explain(failure: Exception) -> str:
    """Return why there is no answer, for the shop's owner."""
    match failure:
        case aiohttp.ClientConnectorDNSError():
            return "the host name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return _explain_certificate(failure.certificate_error)
        case aiohttp.ClientSSLError():
            return "the TLS handshake failed"
        case aiohttp.ClientConnectorError():
            return _explain_connection(failure.os_error)
        case aiohttp.ClientResponseError():
            return "the answer is not valid HTTP, or its head is too long"
        case _:
            return "the connection was closed without an answer"


def _explain_connection(error: OSError) -> str:
    if isinstance(error, NotAllowed):
        return NOT_ALLOWED
    match error.errno:
        case errno.ECONNREFUSED:
            return "connection refused"
        case errno.EHOSTUNREACH | errno.ENETUNREACH:
            return "no route to the address"
        case errno.ETIMEDOUT:
            return "connecting timed out"
        case _:
            return "the connection was closed without an answer"


def _explain_certificate(error: Exception) -> str:
    number = getattr(error, "verify_code", 0)
    if number in _WRONG_HOST:
        return "the certificate does not fit the host"
    if number in _EXPIRED:
        return "the certificate has expired"
    if number in _UNKNOWN_ISSUER:
        return "the certificate has no trusted issuer; send the whole chain"
    return "the certificate is not valid"
