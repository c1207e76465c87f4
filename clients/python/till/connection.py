"""The channel to Till: its options, its TLS credentials, and the proxy on its way."""

import ipaddress
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import grpc

ADDRESS = "127.0.0.1:50051"
# Longer than any call takes at a slow node, and longer than Till's Envoy waits for it.
TIMEOUT_SECONDS = 30.0

OPTIONS = (
    # The channel's back-off adds to the pauses of a watch, so it stays short.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # The time-out of one attempt to connect, despite its name.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # Without pings a silent watch would not notice a network that drops its packets.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC sends no keepalive ping while another ping is unanswered, by default for a minute.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # By default gRPC delays pings without data for a minute.
    ("grpc.http2.max_pings_without_data", 0),
)

# The variables that gRPC reads a proxy from; the first one that is set wins.
PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
NO_PROXY_VARIABLES = ("no_grpc_proxy", "no_proxy")

File = str | Path


def options(address: str) -> tuple[tuple[str, int], ...]:
    """Return the channel's options. Loopback bypasses proxies, which could not reach it."""
    return (*OPTIONS, ("grpc.enable_http_proxy", 0)) if is_loopback(address) else OPTIONS


def proxy(address: str) -> str | None:
    """Return the proxy for an address, such as "http_proxy=HOST:PORT", without its password; or None."""
    host = _host(address)
    # gRPC compares only the ends of names, too.
    exceptions = next(filter(None, map(os.environ.get, NO_PROXY_VARIABLES)), "")
    if is_loopback(address) or any(
        host.endswith(end.strip()) for end in exceptions.split(",") if end.strip()
    ):
        return None
    for variable in PROXY_VARIABLES:
        if value := os.environ.get(variable):
            return f"{variable}={urlsplit(value).netloc.rpartition('@')[2]}"
    return None


def is_loopback(address: str) -> bool:
    """Return whether a gRPC target stays on this machine: loopback, or a Unix socket."""
    host = _host(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost" or host.endswith(".localhost")
        return is_local or address.startswith(("unix:", "unix-abstract:"))


def _host(address: str) -> str:
    # A gRPC target: HOST:PORT or [HOST]:PORT, optionally after a scheme such as dns:/// or ipv4:.
    target = re.sub("^(dns:(//[^/]*/)?|ipv[46]:)", "", address)
    return re.sub(r":\d*$", "", target).strip("[]")


def credentials(tls: bool, ca: File | None, cert: tuple[File, File] | None) -> grpc.ChannelCredentials | None:
    """Return TLS credentials, or None for plaintext. Raise OSError for an unreadable file."""
    if not (tls or ca or cert):
        return None
    chain, key = cert or (None, None)
    return grpc.ssl_channel_credentials(_content(ca), _content(key), _content(chain))


def _content(file: File | None) -> bytes | None:
    return Path(file).read_bytes() if file else None
