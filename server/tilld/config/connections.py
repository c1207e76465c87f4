"""Settings of connections: to the node and the database, and those that Till accepts."""

from pathlib import Path

from pydantic import BaseModel

from tilld.config.fields import ALL, ENVOY, NODE, RUN, SERVERS, STORE, SWITCH, WEBHOOKS, setting
from tilld.config.values import (
    Address,
    AddressesSetting,
    AddressSetting,
    EndpointSetting,
    OptionalAddressSetting,
    OptionalPathSetting,
    OriginsSetting,
    PathSetting,
    TargetsSetting,
)


class Connections(BaseModel):
    """The part of Config with files, addresses and certificates."""

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
    webhook_allow: TargetsSetting = setting(
        (),
        WEBHOOKS,
        "Host, IP address or CIDR that webhooks may reach although it is not public, also over http.",
        "HOST",
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
