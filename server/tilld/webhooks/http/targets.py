"""Targets of webhooks: the public internet by https, and what the operator has opened."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from tilld.errors import InvalidRequest
from tilld.formats.text import check_line

if TYPE_CHECKING:
    from yarl import URL

MAX_URL_BYTES = 2000

BAD_URL = "must be an absolute https URL, such as https://shop.example/webhook"
BAD_HOST = "must have a host such as shop.example, or an IP address in its usual form"
EXTRAS = "must have no user, no password and no fragment; verify the signature of webhooks instead"
# The same for all targets, so that it says nothing about the operator's network.
FORBIDDEN = "must be a public address with https; the operator of Till can allow others with --webhook-allow"
# Of an attempt, in the list of deliveries.
NOT_ALLOWED = "the address is not allowed"

# The only part of IPv6 with public unicast addresses. Others are loopback, private or multicast,
# or stand for an IPv4 address: ::ffff:0:0/96, 64:ff9b::/96, ::/96.
IPV6_UNICAST = IPv6Network("2000::/3")

# IANA's registries of special-purpose addresses, and blocks that its newer entries replace.
# `ipaddress.is_global` of Python 3.11 lacks some of them.
SPECIAL: tuple[IPv4Network | IPv6Network, ...] = (
    *map(
        IPv4Network,
        (
            "0.0.0.0/8",  # This network.
            "10.0.0.0/8",  # Private.
            "100.64.0.0/10",  # Shared by customers of a carrier.
            "127.0.0.0/8",  # Loopback.
            "168.63.129.16/32",  # Azure's agent, reachable from its virtual machines only.
            "169.254.0.0/16",  # Link-local, with the metadata servers of clouds.
            "172.16.0.0/12",  # Private.
            "192.0.0.0/24",  # Protocol assignments.
            "192.0.2.0/24",  # Documentation.
            "192.88.99.0/24",  # Relays of 6to4.
            "192.168.0.0/16",  # Private.
            "198.18.0.0/15",  # Benchmarks.
            "198.51.100.0/24",  # Documentation.
            "203.0.113.0/24",  # Documentation.
            "224.0.0.0/4",  # Multicast.
            "240.0.0.0/4",  # Reserved, and broadcast.
        ),
    ),
    *map(
        IPv6Network,
        (
            "2001::/23",  # Protocol assignments, such as Teredo; its global parts are anycast services.
            "2001:db8::/32",  # Documentation.
            "2002::/16",  # 6to4, which stands for an IPv4 address.
            "3fff::/20",  # Documentation.
        ),
    ),
)

# Of names in the form that yarl gives them: lower case and ASCII.
_is_name = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*").fullmatch
# inet_aton(3) reads a host whose last label is a number as an IPv4 address, such as 127.1 and 0x7f000001.
_ends_in_number = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)$").search
_has_user = re.compile(r"[^:/?#]+://[^/?#]*@").match

LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is a public unicast address, the same in all networks."""
    if isinstance(address, IPv6Address) and address not in IPV6_UNICAST:
        return False
    return not any(address in network for network in SPECIAL)


class Targets(NamedTuple):
    """Hosts and networks that webhooks may reach besides public addresses, also by http."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Targets":
        """Read the values of --webhook-allow: host names, IP addresses and CIDRs."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                hosts.add(entry.lower())
        return cls(frozenset(hosts), tuple(networks))

    def allows(self, scheme: str, host: str, address: str) -> bool:
        """Return whether a connection for a URL's scheme and host may go to an address.

        An address that is not in its usual form is never allowed.
        """
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if host in self.hosts or self._opens(found):
            return True
        return scheme == "https" and is_public(found)

    def may_allow(self, scheme: str, host: str) -> bool:
        """Return whether connections for a URL's scheme and host can be allowed.

        An IP address decides it; the addresses of a name are known only when it is resolved.
        """
        if host in self.hosts:
            return True
        if host == "localhost" or host.endswith(".localhost"):
            return any(self._opens(address) for address in LOOPBACK)
        if is_address(host):
            return self.allows(scheme, host, host)
        return scheme == "https" or bool(self.networks)

    def _opens(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)


def checked_url(text: str, targets: Targets, field: str = "url") -> "URL":
    """Return the URL of an endpoint, as the HTTP client reads it. `field` is the caller's name of it.

    Raises InvalidRequest, or TooLarge for more than 2000 bytes, naming the field.
    """
    # Imported only if needed: it takes 5 ms and 1 MiB.
    from yarl import URL

    check_line(text, field, MAX_URL_BYTES, least=1)
    # Parsers differ on these characters: some drop them, some read a backslash as a slash.
    if not text.isprintable() or " " in text or "\\" in text:
        raise InvalidRequest(f"{field} {BAD_URL}")
    try:
        url = URL(text)
    except ValueError:
        raise InvalidRequest(f"{field} {BAD_URL}") from None
    if url.scheme not in ("https", "http") or not url.absolute or url.explicit_port == 0:
        raise InvalidRequest(f"{field} {BAD_URL}")
    if _has_user(text) or "#" in text:
        raise InvalidRequest(f"{field} {EXTRAS}")
    host = url.raw_host or ""
    if is_address(host):
        # The parser also accepts other digits for those of IPv4.
        if "%" in host or (":" not in host and not text.startswith(host, len(f"{url.scheme}://"))):
            raise InvalidRequest(f"{field} {BAD_HOST}")
    elif not _is_name(host) or _ends_in_number(host) or len(host) > 253:
        raise InvalidRequest(f"{field} {BAD_HOST}")
    if not targets.may_allow(url.scheme, host):
        raise InvalidRequest(f"{field} {FORBIDDEN}")
    # Percent-encoding makes some characters longer.
    check_line(str(url), field, MAX_URL_BYTES)
    return url


def is_address(host: str) -> bool:
    """Return whether a host is an IP address in its usual form."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
