"""Settings: flags first, then TILLD_… variables, then defaults. The only reader of the environment."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tilld.errors import OperatorError

SQLITE = "sqlite:///"
# What of a PostgreSQL URL's query is no secret, and needed to reach the server.
SHOWN = {"host", "hostaddr", "port", "passfile", "service", "sslmode", "sslrootcert", "sslcert", "sslkey"}


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
        """Whether only this machine can reach it. A name counts if it is localhost."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def without_password(database: str) -> str:
    """Return the URL of a database without any part of its password."""
    scheme, is_url, where = database.partition("://")
    if database.startswith(SQLITE) or not is_url:
        return database
    # A password that is not percent-encoded may have any of these, and a query may have a password, too.
    user, at, host = where.rpartition("@")
    host, _, query = host.partition("?")
    shown = "&".join(each for each in query.split("&") if each.partition("=")[0] in SHOWN)
    return f"{scheme}://{re.split('[:/?#]', user)[0]}{at}{host}{shown and '?' + shown}"


def _address(value: Any) -> Any:
    return Address.parse(value) if isinstance(value, str) else value


def _list(value: Any) -> Any:
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _origin(value: str) -> str:
    # Envoy compares it, letter by letter, to what browsers send: no path, and no default port (RFC 6454).
    is_one = re.fullmatch(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:]+\])(:[0-9]+)?", value)
    if value != "*" and (not is_one or re.fullmatch("http://.*:80|https://.*:443", value)):
        raise ValueError("give an origin as browsers send it, such as https://shop.example, or * for all")
    return value


def _endpoint(value: str | None) -> str | None:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("give http://HOST:PORT or https://HOST:PORT, where a collector takes OTLP over gRPC")
    return value


def _home_expanded(path: Path) -> Path:
    # A shell expands ~ in an argument, but not in --flag=~/…, nor in a service's environment.
    try:
        return path.expanduser()
    except RuntimeError as reason:
        raise ValueError(f"{reason}; give the path without ~") from None


AddressSetting = Annotated[Address, NoDecode, BeforeValidator(_address), PlainSerializer(str)]
AddressesSetting = Annotated[tuple[AddressSetting, ...], NoDecode, BeforeValidator(_list)]
OriginsSetting = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_list)
]
OptionalAddressSetting = Annotated[Address | None, NoDecode, BeforeValidator(_address)]
PathSetting = Annotated[Path, AfterValidator(_home_expanded)]
OptionalPathSetting = PathSetting | None

EndpointSetting = Annotated[str | None, AfterValidator(_endpoint)]

FLAGS = {
    "lightning_rpc",
    "database",
    "data_dir",
    "grpc",
    "rest",
    "no_rest",
    "wait_for_node",
    "upstream",
    "allow_anonymous",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "upstream_ca",
    "cors_origin",
    "metrics",
}


class Config(BaseSettings):
    """Everything that can be set. Each field is also a TILLD_… variable of its name, or has another."""

    model_config = SettingsConfigDict(
        env_prefix="TILLD_", env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    lightning_rpc: OptionalPathSetting = None
    database: str | None = None
    data_dir: PathSetting = Path(".till")
    grpc: AddressSetting = Address("127.0.0.1", 50051)
    rest: AddressSetting = Address("127.0.0.1", 8080)
    # At the start, wait for the socket of lightningd: for boot order.
    wait_for_node: bool = False
    no_rest: bool = False
    # Lets everybody call who can reach an address that is not on loopback.
    allow_anonymous: bool = False
    # Where `tilld envoy` finds the tilld processes; in the variable, commas between them.
    upstream: AddressesSetting = (Address("127.0.0.1", 50051),)
    # For the gRPC port and for Envoy: both or none, and who must have signed the certificates of clients.
    tls_cert: OptionalPathSetting = None
    tls_key: OptionalPathSetting = None
    tls_client_ca: OptionalPathSetting = None
    # Makes `tilld envoy` speak TLS to the tilld processes: who must have signed their certificates.
    upstream_ca: OptionalPathSetting = None
    # Whose pages in a browser may call; in the variable, commas between them.
    cors_origin: OriginsSetting = ()
    # Where Prometheus asks; None: nowhere.
    metrics: OptionalAddressSetting = None
    # Where traces go, by the variable that OpenTelemetry has for it; None: nowhere.
    otlp_endpoint: EndpointSetting = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    # What each key may have.
    key_creates_per_second: float = Field(100, gt=0)
    key_open_invoices: int = Field(10_000, gt=0)
    key_watches: int = Field(10_000, gt=0)
    # What each key may pay out, by one invoice request and by all of a day; 0 for the day: any sum.
    key_payout_msat: int = Field(100_000_000, gt=0)
    key_payouts_msat_per_day: int = Field(1_000_000_000, ge=0, lt=2**63)
    # Allows to disable invoice requests, and `absolute_expiry`. If a payment begins within the milliseconds
    # between the last look and the disabling, lightningd v26.06 aborts, and aborts again at each start.
    allow_invreq_disable: bool = False
    # How long a payment takes on the simulated node; it may expire meanwhile, as on a real one.
    simulated_payment_seconds: float = Field(0.5, ge=0)
    # Heartbeats keep proxies from closing a silent stream; Envoy's limit is 60 s.
    heartbeat_seconds: float = Field(15.0, gt=0)
    # How long calls in flight may go on when Till is told to stop.
    grace_seconds: float = Field(5.0, ge=0)
    # Experiments of the grpc core, by name; its own event engine costs more than it brings here.
    grpc_experiments: str = "-event_engine_client,-event_engine_listener"

    @classmethod
    def load(cls, **flags: Any) -> "Config":
        """Read the settings; a flag that is None was not given.

        Raises OperatorError, naming the flag and the variable, for a value that is not one.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as invalid:
            error = invalid.errors()[0]
            name = str(error["loc"][0])
            reason = error["msg"].removeprefix("Value error, ")
            setting = name if name.isupper() else f"TILLD_{name.upper()}"
            if name in FLAGS:
                setting = f"--{name.replace('_', '-')} ({setting})"
            raise OperatorError(f"{setting} is {error['input']!r}: {reason}") from None

    def prepare_grpc(self) -> None:
        """Set what grpc reads from the environment when it is imported."""
        os.environ.setdefault("GRPC_EXPERIMENTS", self.grpc_experiments)
        # What goes wrong is told by us, in one line.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    @property
    def simulated_rpc_file(self) -> Path:
        """Where the simulated node listens."""
        return self.data_dir / "lightning-rpc"

    @property
    def database_url(self) -> str:
        """Where the store is: by default a SQLite file in the data directory."""
        return self.database or f"{SQLITE}{self.data_dir / 'till.db'}"
