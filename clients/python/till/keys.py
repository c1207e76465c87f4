"""API keys and watch tokens: the check before they are sent, and the header that carries them."""

import re
from collections.abc import Awaitable, Callable

from till.connection import is_loopback

Key = str | Callable[[], str] | None
AsyncKey = Key | Callable[[], Awaitable[str]]
Metadata = tuple[tuple[str, str], ...]


def check(key: AsyncKey, address: str, *, tls: bool, allow_plaintext_key: bool) -> None:
    """Raise ValueError for a malformed key, and for one that the network between here and Till could read."""
    if key and not (tls or allow_plaintext_key or is_loopback(address)):
        raise ValueError("a key is sent without TLS to loopback only; use TLS, or set allow_plaintext_key")
    if isinstance(key, str):
        header(key)


def header(key: str | None) -> Metadata:
    """Return the metadata with a key, without the white space around it; empty if the key is.

    Raise ValueError for a malformed key: gRPC would fail with INTERNAL, which looks like a lost connection.
    """
    if not key:
        return ()
    key = key.strip()
    if not re.fullmatch("[!-~]+", key):
        raise ValueError("a key has printable ASCII only, without spaces")
    return (("authorization", f"Bearer {key}"),)
