"""Builds the container image, and takes a payment in it: unprivileged, and with a read-only root.

python -m tests.container [--engine docker|podman] [-- OPTIONS OF THE ENGINE'S BUILD]
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 15
# As in compose.yaml.
HARDENED = (
    "--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges",
    "--env=TILLD_ALLOW_ANONYMOUS=true", "--publish=127.0.0.1::8080",
)  # fmt: skip


class Engine:
    """The command line of Docker or Podman."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a command; return its output."""
        done = subprocess.run(
            [self.program, *arguments], cwd=ROOT, check=False, capture_output=True, text=True
        )
        if check and done.returncode:
            sys.exit(f"{self.program} {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout.strip()

    def build(self, tag: str, options: list[str]) -> None:
        """Build the image, and show the engine's output."""
        # Podman's default format, that of OCI, has no health checks.
        form = ["--format=docker"] if "podman" in self.program else []
        command = [self.program, "build", *form, f"--tag={tag}", "--file=Containerfile", *options, "."]
        subprocess.run(command, cwd=ROOT, check=True)

    @contextmanager
    def running(self, tag: str) -> Iterator[str]:
        """Run a container on a new volume, and remove both in the end."""
        name = f"till-check-{uuid.uuid4().hex[:8]}"
        try:
            self("run", "--detach", f"--name={name}", f"--volume={name}:/data", *HARDENED, tag)
            yield name
        finally:
            self("rm", "--force", "--volumes", name, check=False)
            self("volume", "rm", name, check=False)


def call(url: str, body: Any = None) -> Any:
    """Return the JSON that Till returns."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data, timeout=10) as reply:
        return json.load(reply)


def wait_until_ready(engine: Engine, name: str) -> str:
    """Return the address of a container's REST API, when it serves."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            rest = f"http://{engine('port', name, '8080/tcp')}"
            assert call(f"{rest}/readyz")["status"] == "ready"
        except OSError:
            if (
                time.monotonic() > deadline
                or engine("inspect", "--format={{.State.Running}}", name) != "true"
            ):
                sys.exit(f"Till did not start:\n{engine('logs', name)}")
            time.sleep(0.2)
        else:
            return rest


def check(engine: Engine, tag: str) -> None:
    """Take a payment, back up, probe the health, and stop."""
    with engine.running(tag) as name:
        rest = wait_until_ready(engine, name)
        invoice = call(f"{rest}/lightning/invoice/create", {"msat": 5000, "metadata": {"type": "shop"}})
        print(engine("exec", name, "tilld", "node", "pay", invoice["payreq"]))
        assert call(f"{rest}/lightning/invoice/{invoice['invoiceid']}")["status"] == "paid"
        status = engine("exec", name, "cat", "/proc/1/status")
        for line in (r"Uid:\t10001\t10001\t10001\t10001", r"CapEff:\t0+", r"NoNewPrivs:\t1"):
            assert re.search(rf"^{line}$", status, re.MULTILINE), status
        print(engine("exec", name, "tilld", "backup", "backup.db"))
        health = json.loads(engine("inspect", "--format={{json .Config.Healthcheck}}", name))
        _, *probe = health["Test"]
        engine("exec", name, *probe)
        engine("stop", f"-t{STOP_SECONDS}", name)
        assert engine("inspect", "--format={{.State.ExitCode}}", name) == "0", engine("logs", name)
    print(f"{tag} works")


def main() -> None:
    """Check with the engine that is given, or the first that is installed."""
    found = next((engine for engine in ("docker", "podman") if shutil.which(engine)), None)
    parser = argparse.ArgumentParser(prog="python -m tests.container", description=__doc__)
    parser.add_argument("--engine", default=found, help="program of the engine, such as podman")
    parser.add_argument("--tag", default="localhost/till", help="name of the image")
    parser.add_argument("options", nargs="*", help="options of the engine's build, after --")
    arguments = parser.parse_args()
    if not arguments.engine:
        sys.exit("neither docker nor podman is installed; install one of them")
    engine = Engine(arguments.engine)
    engine.build(arguments.tag, arguments.options)
    check(engine, arguments.tag)


if __name__ == "__main__":
    main()
