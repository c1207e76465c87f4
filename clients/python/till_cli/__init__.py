"""The command `till`. It is beside the package till, which it must not load before it has set up grpc."""

import os
import sys


def main() -> None:
    """Run the command, or say what it lacks."""
    # What goes wrong is told by us, in one line.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from till_cli.main import app
    except ModuleNotFoundError as missing:
        if missing.name not in {"rich", "segno", "typer"}:
            raise
        sys.exit("till: the command needs more than the client: pip install 'lightning-till-client[cli]'")
    app(prog_name="till")
