"""The settings and their defaults. Only this package reads the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tilld.config import sources
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
    url_in,
)
from tilld.errors import OperatorError


class Config(BaseSettings):
    """All settings. Each has a variable, TILLD_… and its name; most have a flag."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )
    _origins: dict[str, sources.Origin]

    config: OptionalPathSetting = setting(
        None,
        ALL,
        "File with settings, in TOML. 'tilld config --example' prints one.",
        "FILE",
        shown="none",
    )
    lightning_rpc: OptionalPathSetting = setting(
        None,
        NODE,
        "Socket of your lightningd, such as ~/.lightning/bitcoin/lightning-rpc.",
        "PATH",
        shown="a simulated node with play money",
    )
    database: str | None = setting(
        None,
        STORE,
        "URL of the database: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME. "
        "Other users can see a flag: pass a password in the variable or by --database-file.",
        "URL",
        shown="till.db in the data directory",
    )
    database_file: OptionalPathSetting = setting(
        None,
        STORE,
        "File whose only line is the URL of the database, instead of --database.",
        "FILE",
        shown="none",
    )
    data_dir: PathSetting = setting(
        Path(".till"),
        ALL,
        "Directory for the default database, Envoy's files and the simulated node.",
        "DIR",
    )
    grpc: AddressSetting = setting(
        Address("127.0.0.1", 50051),
        RUN,
        "Address to listen on for gRPC. Port 0 takes a free port.",
        "HOST:PORT",
    )
    upstream: AddressesSetting = setting(
        (Address("127.0.0.1", 50051),),
        ENVOY,
        "Address where a tilld listens for gRPC. Several tilld have one each.",
        "HOST:PORT",
    )
    upstream_ca: OptionalPathSetting = setting(
        None,
        ENVOY,
        "Connect to --upstream by TLS, and verify its certificate and host with these CAs, in PEM. "
        "--tls-cert, if given, is the client certificate.",
        "FILE",
    )
    rest: AddressSetting = setting(
        Address("127.0.0.1", 8080),
        SERVERS,
        "Address on which Envoy serves JSON REST, server-sent events, gRPC and gRPC-Web. "
        "Port 0 takes a free port.",
        "HOST:PORT",
    )
    wait_for_node: bool = setting(
        False,
        RUN,
        "At the start, wait without limit until lightningd's socket exists, for example after a reboot.",
        SWITCH,
    )
    no_rest: bool = setting(False, RUN, "Do not start Envoy; serve gRPC only.", SWITCH)
    allow_anonymous: bool = setting(
        False,
        RUN,
        "Listen beyond loopback while no key exists. "
        "Anyone who can connect can then create and read invoices.",
        SWITCH,
    )
    tls_cert: OptionalPathSetting = setting(
        None,
        SERVERS,
        "Serve TLS only, with this certificate chain: PEM, the server's own certificate first. "
        "All certificate files are reloaded when they change.",
        "FILE",
    )
    tls_key: OptionalPathSetting = setting(
        None,
        SERVERS,
        "Private key of --tls-cert: PEM without a passphrase, RSA (2048 bits or more), P-256 or P-384.",
        "FILE",
    )
    tls_client_ca: OptionalPathSetting = setting(
        None, SERVERS, "Require client certificates signed by one of these CAs, in PEM.", "FILE"
    )
    cors_origin: OriginsSetting = setting(
        (),
        SERVERS,
        "Allow calls from web pages of this origin, such as https://shop.example; * allows all origins.",
        "ORIGIN",
        shown="none",
    )
    metrics: OptionalAddressSetting = setting(
        None,
        RUN,
        "Address on which Prometheus can scrape /metrics without a key, such as 127.0.0.1:9464.",
        "HOST:PORT",
        shown="none",
    )
    otlp_endpoint: EndpointSetting = setting(
        None,
        RUN,
        "Collector that accepts traces by OTLP over gRPC: http://HOST:PORT or https://HOST:PORT.",
        shown="none",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", ALL, "Lowest level that is logged: debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = setting("text", ALL, "Format of the log: text or json.")
    no_color: Annotated[bool, BeforeValidator(bool)] = setting(
        False,
        ALL,
        "Turn off the colors of the log; the variable may have any value. Only a terminal has colors.",
        validation_alias="NO_COLOR",
    )
    key_creates_per_second: float = setting(
        100, RUN, "Most invoices that each key may create per second; a fraction is allowed.", gt=0
    )
    key_open_invoices: int = setting(10_000, RUN, "Most open invoices per key.", gt=0)
    keep_unpaid_days: int | None = setting(
        None,
        (*RUN, "import"),
        "Days after its expiry for which an expired or canceled invoice is kept. Paid invoices are never "
        "removed.",
        "DAYS",
        shown="no limit",
        gt=0,
        le=36_500,
    )
    keep_events_days: int = setting(
        30,
        RUN,
        "Days for which an event is kept. An expired or canceled invoice is kept at least as long as its "
        "events.",
        "DAYS",
        ge=1,
        le=36_500,
    )
    key_watches: int = setting(10_000, RUN, "Most concurrent watches per key.", gt=0)
    key_exports: int = setting(4, RUN, "Most concurrent exports and reports per key.", gt=0)
    key_payout_msat: int = setting(
        100_000_000,
        RUN,
        "Most msat that one invoice request may pay out, for each key with the scope payouts.",
        gt=0,
    )
    key_payouts_msat_per_day: int = setting(
        1_000_000_000,
        RUN,
        "Most msat that each key with the scope payouts may pay out per day (UTC); 0 is no limit.",
        ge=0,
        lt=2**63,
    )
    # If a payment begins in the milliseconds between the last check and the disabling,
    # lightningd v26.06 aborts, and aborts again at each start.
    allow_invreq_disable: bool = setting(
        False,
        RUN,
        "Allow keys to disable invoice requests, and to set absolute_expiry. "
        "This can stop lightningd for good.",
    )
    simulated_payment_seconds: float = setting(
        0.5,
        RUN,
        "Seconds that a payment takes on the simulated node. Its invoice may expire meanwhile.",
        ge=0,
    )
    heartbeat_seconds: float = setting(
        15,
        RUN,
        "Seconds between heartbeats on a silent event stream, so that no proxy closes it. "
        "Envoy closes a silent one after 60 s.",
        gt=0,
    )
    grace_seconds: float = setting(
        5, SERVERS, "Seconds that calls in flight have to finish when Till stops.", ge=0
    )
    grpc_experiments: str = setting(
        "-event_engine_client,-event_engine_listener",
        RUN,
        "Experiments of grpc core, by name; - disables one. Its event engine is slower here.",
    )

    def __init__(self, origins: Mapping[str, sources.Origin] | None = None, /, **values: Any) -> None:
        """Take values only from here. `origins` has their sources, for error messages and `tilld config`."""
        super().__init__(**values)
        self._origins = dict(origins or {})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *args: Any,
        **others: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the only source of the constructor: its arguments."""
        return (init_settings,)

    @classmethod
    def load(cls, **flags: Any) -> "Config":
        """Read the settings: flags, then variables, then the file, then defaults.

        A flag that is None was not given. Raises OperatorError for an invalid value, naming its source.
        """
        if flags.get("rest") and flags.get("no_rest"):
            raise OperatorError("--rest and --no-rest exclude each other; give one")
        given = sources.collect(cls, SETTINGS, flags)
        origins = {name: each.origin for name, each in given.items()}
        try:
            return cls(origins, **{name: each.value for name, each in given.items()})
        except ValidationError as invalid:
            raise sources.explain(invalid, SETTINGS, origins) from None

    def origin(self, name: str) -> sources.Origin:
        """Return the source of a setting's value."""
        return self._origins.get(name, sources.Origin("default"))

    def prepare_grpc(self) -> None:
        """Set the environment variables that grpc reads when it is imported."""
        os.environ.setdefault("GRPC_EXPERIMENTS", self.grpc_experiments)
        # Till logs failures itself, in one line.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    @property
    def colors(self) -> bool:
        """Return whether the log may have colors (https://no-color.org)."""
        return not self.no_color

    @property
    def simulated_rpc_file(self) -> Path:
        """The socket of the simulated node."""
        return self.data_dir / "lightning-rpc"

    @property
    def database_url(self) -> str:
        """The URL of the database, by default that of a SQLite file in the data directory.

        Raises OperatorError if the file with the URL cannot be read.
        """
        if self.database_file:
            return url_in(self.database_file)
        return self.database or f"{SQLITE}{self.data_dir / 'till.db'}"


SETTINGS = tuple(Setting.of(*each) for each in Config.model_fields.items())
