"""Runs tilld.cli, say, with another interval: python -m tests.support.hasty NAME=SECONDS MODULE …"""

import runpy
import sys

import tilld.config


def hasty(name: str, seconds: float, *program: str) -> tuple[str, ...]:
    """Return a program with another interval, from a module and its arguments before those of tilld."""
    return sys.executable, "-m", "tests.support.hasty", f"{name}={seconds}", *program


if __name__ == "__main__":
    _, changed, module, *arguments = sys.argv
    name, seconds = changed.split("=")
    # Before all modules that take these as their defaults.
    tilld.config.USUAL = tilld.config.USUAL._replace(**{name: float(seconds)})  # type: ignore[arg-type]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
