"""Installs pinned requirements with pip, and prints each package as it is downloaded. Run by make."""

import re
import sys
from pathlib import Path
from subprocess import PIPE, Popen

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
# A requirements file contains all packages, with hashes, so pip resolves no dependencies.
PINNED = ("--no-deps", "--require-hashes", "--requirement")
# Prefixes of pip's lines for the next package; "Processing" is for a local file.
FETCHED = ("Collecting ", "Processing ")
PASSED_OVER = ("Ignoring ", "Requirement already satisfied: ")


def main(requirements: Path) -> int:
    """Install the requirements; return pip's exit code. Errors of pip go to standard error."""
    total = len(re.findall(r"^\w", requirements.read_text(), re.MULTILINE))
    number = 0
    with Popen([*PIP, *PINNED, requirements], stdout=PIPE, text=True, errors="replace") as pip:
        for line in pip.stdout or ():
            number += line.startswith(FETCHED + PASSED_OVER)
            if line.startswith(FETCHED):
                say(f"{number}/{total} {Path(line.split()[1]).name}")
            elif line.startswith("Installing "):
                say(f"unpacking {len(line.split(','))} packages")
    return pip.returncode


def say(what: str) -> None:
    """Print a line immediately, also to a pipe."""
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
