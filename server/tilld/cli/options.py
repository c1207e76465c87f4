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
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Directory for all that Till keeps. [TILLD_DATA_DIR; default: .till]"),
]
