"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

LightningRpc = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        # Whether it can be reached is told by us, in one line.
        readable=False,
        help="Socket of your lightningd, such as ~/.lightning/bitcoin/lightning-rpc. "
        "Without it a simulated node with play money is taken. [TILLD_LIGHTNING_RPC]",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where invoices are kept: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME. "
        "[TILLD_DATABASE; default: till.db in the data directory]",
    ),
]
Rest = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Address for JSON REST, gRPC and gRPC-Web by Envoy. [TILLD_REST; default: 127.0.0.1:8080]",
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Serve TLS, and nothing else, with this certificate and those that lead to its root, in PEM. "
        "It is read again when it changes, as are all these files. [TILLD_TLS_CERT]",
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(metavar="FILE", readable=False, help="The key of --tls-cert, in PEM. [TILLD_TLS_KEY]"),
]
TlsClientCa = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Let in only clients with a certificate that one of these has signed. [TILLD_TLS_CLIENT_CA]",
    ),
]
CorsOrigin = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN",
        help="Let web pages from there call, such as https://shop.example; * is from everywhere. "
        "Give it once for each. [TILLD_CORS_ORIGIN, with commas between; default: none]",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Directory for all that Till keeps. [TILLD_DATA_DIR; default: .till]"),
]
