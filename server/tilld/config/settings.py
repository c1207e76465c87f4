"""Settings: flags first, then TILLD_… variables, then defaults. The only reader of the environment."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tilld.config.fields import ALL, ENVOY, NODE, PREFIX, RUN, SERVERS, STORE, SWITCH, Setting, setting
from tilld.config.values import (
    SQLITE,
    Address,
    AddressesSetting,
    AddressSetting,
    EndpointSetting,
    OptionalAddressSetting,
    OptionalPathSetting,
    OriginsSetting,
    PathSetting,
)
from tilld.errors import OperatorError


class Config(BaseSettings):
    """All settings. Each is a variable, TILLD_… and its name, and most are flags as well."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    lightning_rpc: OptionalPathSetting = setting(
        None,
        NODE,
        "Socket of your lightningd, such as ~/.lightning/bitcoin/lightning-rpc. "
        "Without it a simulated node with play money is taken.",
        "PATH",
    )
    database: str | None = setting(
        None,
        STORE,
        "Where invoices are kept: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME.",
        "URL",
        shown="till.db in the data directory",
    )
    data_dir: PathSetting = setting(Path(".till"), ALL, "Directory for all that Till keeps.", "DIR")
    grpc: AddressSetting = setting(Address("127.0.0.1", 50051), RUN, "Address for gRPC.", "HOST:PORT")
    upstream: AddressesSetting = setting(
        (Address("127.0.0.1", 50051),),
        ENVOY,
        "Where a tilld listens for gRPC; give it once for each.",
        "HOST:PORT",
    )
    upstream_ca: OptionalPathSetting = setting(
        None,
        ENVOY,
        "Speak TLS to them: one of these must have signed their certificates, for the hosts above. "
        "--tls-cert is shown to them.",
        "FILE",
    )
    rest: AddressSetting = setting(
        Address("127.0.0.1", 8080),
        SERVERS,
        "Address for JSON REST, server-sent events, gRPC and gRPC-Web by Envoy.",
        "HOST:PORT",
    )
    wait_for_node: bool = setting(
        False, RUN, "At the start, wait until lightningd has made its socket, as after a reboot.", SWITCH
    )
    no_rest: bool = setting(False, RUN, "Do not start Envoy.", SWITCH)
    allow_anonymous: bool = setting(
        False,
        RUN,
        "Without keys, let everybody call who can reach an address that is not on loopback.",
        SWITCH,
    )
    tls_cert: OptionalPathSetting = setting(
        None,
        SERVERS,
        "Serve TLS, and nothing else, with this certificate and those that lead to its root, in PEM. "
        "It is read again when it changes, as are all these files.",
        "FILE",
    )
    tls_key: OptionalPathSetting = setting(None, SERVERS, "The key of --tls-cert, in PEM.", "FILE")
    tls_client_ca: OptionalPathSetting = setting(
        None, SERVERS, "Require client certificates signed by one of these CAs.", "FILE"
    )
    cors_origin: OriginsSetting = setting(
        (),
        SERVERS,
        "Let web pages from there call, such as https://shop.example; * is from everywhere. "
        "Give it once for each.",
        "ORIGIN",
        shown="none",
    )
    metrics: OptionalAddressSetting = setting(
        None, RUN, "Address for metrics, which Prometheus asks for.", "HOST:PORT", shown="none"
    )
    otlp_endpoint: EndpointSetting = setting(
        None,
        RUN,
        "Where traces go: http://HOST:PORT or https://HOST:PORT of a collector that takes OTLP over gRPC.",
        shown="none",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", ALL, "Least level of what is logged: debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = setting("text", ALL, "Format of the log: text or json.")
    no_color: str = setting(
        "",
        ALL,
        "Any value turns the colors of the log off. Only a terminal has colors.",
        shown="none",
        validation_alias="NO_COLOR",
    )
    key_creates_per_second: float = setting(100, RUN, "Invoices that each key may create a second.", gt=0)
    key_open_invoices: int = setting(10_000, RUN, "Open invoices that each key may have.", gt=0)
    key_watches: int = setting(10_000, RUN, "Watches that each key may have at the same time.", gt=0)
    key_payout_msat: int = setting(
        100_000_000,
        RUN,
        "What each key with the scope payouts may pay out by one invoice request, in msat.",
        gt=0,
    )
    key_payouts_msat_per_day: int = setting(
        1_000_000_000,
        RUN,
        "What each key with the scope payouts may pay out in a day (UTC), in msat; 0 is any sum.",
        ge=0,
        lt=2**63,
    )
    # If a payment begins within the milliseconds between the last look and the disabling,
    # lightningd v26.06 aborts, and aborts again at each start.
    allow_invreq_disable: bool = setting(
        False,
        RUN,
        "Whether keys may disable invoice requests, and set absolute_expiry. It can stop lightningd.",
    )
    simulated_payment_seconds: float = setting(
        0.5,
        RUN,
        "Seconds that a payment takes on the simulated node; its invoice may expire meanwhile.",
        ge=0,
    )
    heartbeat_seconds: float = setting(
        15,
        RUN,
        "Seconds between the heartbeats of a silent stream, which keep proxies from closing it: "
        "Envoy does after 60 s.",
        gt=0,
    )
    grace_seconds: float = setting(
        5, SERVERS, "Seconds for which calls in flight may go on when Till is told to stop.", ge=0
    )
    grpc_experiments: str = setting(
        "-event_engine_client,-event_engine_listener",
        RUN,
        "Experiments of the grpc core, by name. Its own event engine costs more than it brings here.",
    )

    @classmethod
    def load(cls, **flags: Any) -> "Config":
        """Read the settings; a flag that is None was not given.

        Raises OperatorError, naming the flag and the variable, for a value that is not one.
        """
        if flags.get("rest") and flags.get("no_rest"):
            raise OperatorError("--rest and --no-rest exclude each other; give one")
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as invalid:
            error = invalid.errors()[0]
            named = next(each for each in SETTINGS if error["loc"][0] in (each.name, each.variable))
            reason = error["msg"].removeprefix("Value error, ")
            where = f"{named.flag} ({named.variable})" if named.flag else named.variable
            raise OperatorError(f"{where} is {error['input']!r}: {reason}") from None

    def prepare_grpc(self) -> None:
        """Set what grpc reads from the environment when it is imported."""
        os.environ.setdefault("GRPC_EXPERIMENTS", self.grpc_experiments)
        # What goes wrong is told by us, in one line.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    @property
    def colors(self) -> bool:
        """Whether the log may have colors (https://no-color.org)."""
        return not self.no_color

    @property
    def simulated_rpc_file(self) -> Path:
        """Where the simulated node listens."""
        return self.data_dir / "lightning-rpc"

    @property
    def database_url(self) -> str:
        """Where the store is: by default a SQLite file in the data directory."""
        return self.database or f"{SQLITE}{self.data_dir / 'till.db'}"


SETTINGS = tuple(Setting.of(*each) for each in Config.model_fields.items())
