"""Types of settings. Each parses the text of a flag or a variable, and explains what is invalid."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainSerializer
from pydantic_settings import NoDecode

from tilld.errors import OperatorError

SQLITE = "sqlite:///"
# Parameters of a PostgreSQL URL's query that are not secret, and needed to reach the server.
SHOWN = {"host", "hostaddr", "port", "passfile", "service", "sslmode", "sslrootcert", "sslcert", "sslkey"}
TARGETS = "give a host, an IP address or a CIDR, without a port, such as shop.lan, 10.0.0.5 or 10.0.0.0/24"


class Address(NamedTuple):
    """A host and a TCP port to listen on. In text: HOST:PORT, an IPv6 host in brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT.

        Raises ValueError for anything else.
        """
        host, colon, port = text.rpartition(":")
        if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError("give HOST:PORT, such as 127.0.0.1:8080")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can connect. The only name that counts is localhost."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def dialled(self) -> "Address":
        """The address that reaches a server that listens here: loopback, if it listens on all addresses."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return self._replace(host=host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def without_password(database: str) -> str:
    """Return a database URL without any part of its password."""
    scheme, is_url, where = database.partition("://")
    if database.startswith(SQLITE) or not is_url:
        return database
    # A password that is not percent-encoded may contain any of ":/?#@". A query may also have a password.
    user, at, host = where.rpartition("@")
    host, _, query = host.partition("?")
    shown = "&".join(each for each in query.split("&") if each.partition("=")[0] in SHOWN)
    return f"{scheme}://{re.split('[:/?#]', user)[0]}{at}{host}{shown and '?' + shown}"


def url_in(file: Path) -> str:
    """Return the URL of the database in a file.

    Raises OperatorError if there is none. The message does not show the text, which may be a password.
    """
    try:
        url = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as reason:
        said = reason.strerror if isinstance(reason, OSError) else "its text is not UTF-8"
        raise OperatorError(
            f"--database-file (TILLD_DATABASE_FILE) is {str(file)!r}: {said}; make it readable"
        ) from None
    if "://" not in url or url.split() != [url]:
        raise OperatorError(
            f"--database-file (TILLD_DATABASE_FILE) is {str(file)!r}: "
            "write the URL of the database, and nothing else, into the file"
        )
    return url


def _address(value: Any) -> Any:
    return value if value is None or isinstance(value, Address) else Address.parse(str(value))


def _list(value: Any) -> Any:
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _origin(value: str) -> str:
    # Envoy compares it verbatim with the header of browsers, without path and default port (RFC 6454).
    is_one = re.fullmatch(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:]+\])(:[0-9]+)?", value)
    if value != "*" and (not is_one or re.fullmatch("http://.*:80|https://.*:443", value)):
        raise ValueError("give an origin as browsers send it, such as https://shop.example, or * for all")
    return value


def _target(value: str) -> str:
    text = value.lower()
    # The last label of a name is no number: the system reads such a host as an IPv4 address.
    if re.fullmatch(r"([a-z0-9_-]+\.)*(?!(0x[0-9a-f]*|[0-9]+)$)[a-z0-9_-]+", text):
        return text
    address, slash, _ = (text if "/" in text else text.removeprefix("[").removesuffix("]")).partition("/")
    try:
        first = ipaddress.ip_address(address)
        network = ipaddress.ip_network(text if slash else first, strict=False)
        if "%" in address:
            raise ValueError(TARGETS)
    except ValueError:
        raise ValueError(TARGETS) from None
    if first != network.network_address:
        raise ValueError(f"the address has bits outside of the prefix; give {network}")
    return str(network if slash else first)


def _endpoint(value: str | None) -> str | None:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("give http://HOST:PORT or https://HOST:PORT, where a collector takes OTLP over gRPC")
    return value


def _home_expanded(path: Path) -> Path:
    # A shell expands ~ in an argument, but not in --flag=~/…; nothing expands it in a service's environment.
    try:
        return path.expanduser()
    except RuntimeError as reason:
        raise ValueError(f"{reason}; give the path without ~") from None


AddressSetting = Annotated[Address, NoDecode, BeforeValidator(_address), PlainSerializer(str)]
AddressesSetting = Annotated[tuple[AddressSetting, ...], NoDecode, BeforeValidator(_list)]
OriginsSetting = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_list)
]
TargetsSetting = Annotated[
    tuple[Annotated[str, AfterValidator(_target)], ...], NoDecode, BeforeValidator(_list)
]
OptionalAddressSetting = Annotated[
    Address | None, NoDecode, BeforeValidator(_address), PlainSerializer(lambda value: value and str(value))
]
PathSetting = Annotated[Path, AfterValidator(_home_expanded)]
OptionalPathSetting = PathSetting | None

EndpointSetting = Annotated[str | None, AfterValidator(_endpoint)]
