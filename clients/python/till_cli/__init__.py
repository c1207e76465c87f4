"""The command `till`: a package of its own, since grpc must be configured before the package till loads."""

import os
import sys


def main() -> None:
    """Run the command. Exit with a hint if its optional dependencies are missing."""
    # The command reports each error in one line; gRPC's log lines would surround it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from till_cli.main import app
    except ModuleNotFoundError as missing:
        if missing.name not in {"rich", "segno", "typer"}:
            raise
        sys.exit(
            "till: the command's dependencies are missing; run: pip install 'lightning-till-client[cli]'"
        )
    app(prog_name="till")
