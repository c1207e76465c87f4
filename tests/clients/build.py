"""Builds the clients of all languages whose tools are installed: python -m tests.clients.build."""

import sys
import time

from tests.clients import agent


def main() -> int:
    """Build the clients in turn. Return the number of failures."""
    failed = 0
    for name in agent.clients():
        started = time.monotonic()
        missing = agent.missing(name)
        wrong = "" if missing else agent.build(name)
        failed += bool(wrong)
        said = f"skipped, needs {missing}" if missing else wrong or "built"
        print(f"{name}: {said} ({time.monotonic() - started:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
