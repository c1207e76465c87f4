"""How Till is reached: the channel's options and credentials, the key; and when to try again."""

import ipaddress
import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from till.errors import ConnectionLost, Error, TookTooLong, Unavailable
from till.results import Invoice, invoice
from till.v1 import invoice_pb2

ADDRESS = "127.0.0.1:50051"
# Longer than Till takes for any call at a node that is slow, and than its Envoy waits for that.
TIMEOUT_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0

OPTIONS = (
    # gRPC's own pauses before it connects again would make ours longer.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # How long one attempt to connect may take, where nothing comes back.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # A watch that is silent for long still notices that Till has gone without a word.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # While a ping of another kind waits for its answer gRPC sends none of these, and would wait for a minute.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Else gRPC makes pings wait for a minute.
    ("grpc.http2.max_pings_without_data", 0),
)

# The variables that gRPC takes a proxy from; the first one that is set wins.
PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
NO_PROXY_VARIABLES = ("no_grpc_proxy", "no_proxy")

File = str | Path


def options(address: str) -> tuple[tuple[str, int], ...]:
    """The channel's options. Loopback never goes through a proxy, which could not reach it."""
    return (*OPTIONS, ("grpc.enable_http_proxy", 0)) if _is_loopback(_host(address)) else OPTIONS


def proxy(address: str) -> str | None:
    """The proxy on the way to an address, such as "http_proxy=HOST:PORT", without its password; or None."""
    host = _host(address)
    # gRPC too compares only the ends of names.
    exceptions = next(filter(None, map(os.environ.get, NO_PROXY_VARIABLES)), "")
    if _is_loopback(host) or any(host.endswith(end.strip()) for end in exceptions.split(",") if end.strip()):
        return None
    for variable in PROXY_VARIABLES:
        if value := os.environ.get(variable):
            return f"{variable}={urlsplit(value).netloc.rpartition('@')[2]}"
    return None


def _host(address: str) -> str:
    # As gRPC takes it: HOST:PORT, [HOST]:PORT, or after a scheme such as dns:/// or ipv4:.
    target = re.sub("^(dns:(//[^/]*/)?|ipv[46]:)", "", address)
    return re.sub(r":\d*$", "", target).strip("[]")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def credentials(tls: bool, ca: File | None, cert: tuple[File, File] | None) -> grpc.ChannelCredentials | None:
    """What TLS needs; None: no TLS. Raises OSError for a file that can't be read."""
    if not (tls or ca or cert):
        return None
    chain, key = cert or (None, None)
    return grpc.ssl_channel_credentials(_content(ca), _content(key), _content(chain))


def _content(file: File | None) -> bytes | None:
    return Path(file).read_bytes() if file else None


def header(key: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata that carries a key, or a watch token; without white space around it. Empty: there is none.

    Raises ValueError for what gRPC would refuse to send: it would say so as if the connection were lost.
    """
    if not key:
        return ()
    key = key.strip()
    if not re.fullmatch("[!-~]+", key):
        raise ValueError("a key has printable ASCII only, without spaces")
    return (("authorization", f"Bearer {key}"),)


class Attempts:
    """The attempts at one call: when to make the next one, and until when.

    timeout: seconds for all of them together; None: for ever.
    again: the errors after which there is a next one.
    """

    def __init__(self, timeout: float | None, again: type[Error] | tuple[()]) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._again = again
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def seconds_left(self) -> float | None:
        """Until the deadline."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def pause_after(self, error: Error) -> float:
        """Seconds to wait before the next attempt. Raises the error where there is none."""
        left = self.seconds_left
        if not isinstance(error, self._again) or (left is not None and left <= self._pause):
            raise error from None
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return pause

    def begin_anew(self) -> None:
        """Make the next pause a short one again."""
        self._pause = FIRST_PAUSE_SECONDS


class Watching:
    """What was seen of an invoice, over all attempts at watching it."""

    def __init__(self, timeout: float | None) -> None:
        self._attempts = Attempts(timeout, Unavailable)
        self._seen: Invoice | None = None

    @property
    def seconds_left(self) -> float | None:
        """Until the deadline."""
        return self._attempts.seconds_left

    @property
    def goes_on(self) -> bool:
        """Whether more may come."""
        return self._seen is None or not self._seen.status.is_final

    def news(self, message: invoice_pb2.Invoice) -> Invoice | None:
        """The state of a message; None if it is the one that was seen last, as after connecting again."""
        self._attempts.begin_anew()
        state = invoice(message)
        if state == self._seen:
            return None
        self._seen = state
        return state

    def pause_after(self, error: Error) -> float:
        """Seconds to wait before the next attempt. Raises the error, or TookTooLong at the deadline."""
        try:
            return self._attempts.pause_after(error)
        except Unavailable as lost:
            raise TookTooLong(f"the watch is over its time. {lost}", status="DEADLINE_EXCEEDED") from None

    def pause_after_end(self) -> float:
        """Seconds to wait after an answer that ended before the invoice did; none if that did too."""
        if not self.goes_on:
            return 0.0
        return self.pause_after(ConnectionLost("the watch ended too early", status="UNAVAILABLE"))
