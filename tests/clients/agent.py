"""Runs a client's agent, as clients/conformance/README.md describes it."""

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from shutil import which
from subprocess import PIPE, STDOUT, run
from typing import Any

from tests.support.processes import Process

CLIENTS = Path(__file__).parent.parent.parent / "clients"
# The first build may download and compile a language's gRPC.
BUILD_SECONDS = 1800
# `python` in the agents is the Python that has Till.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def clients() -> list[str]:
    """Return the names of all clients that have an agent."""
    return sorted(path.parent.name for path in CLIENTS.glob("*/agent"))


@cache
def missing(client: str) -> str:
    """Return the missing commands of a client, separated by commas."""
    needs = _say(client, "--needs").split()
    return ", ".join(command for command in needs if not which(command, path=ENVIRONMENT["PATH"]))


@cache
def build(client: str) -> str:
    """Build an agent. Return the fault, or an empty text."""
    try:
        _say(client, "--build")
    except RuntimeError as failed:
        return str(failed)
    return ""


def _say(client: str, argument: str) -> str:
    command = [str(CLIENTS / client / "agent"), argument]
    done = run(
        command,
        check=False,
        env=ENVIRONMENT,
        stdout=PIPE,
        stderr=STDOUT,
        timeout=BUILD_SECONDS,
        encoding="utf-8",
    )
    if done.returncode != 0:
        raise RuntimeError(f"clients/{client}/agent {argument} failed:\n{done.stdout}")
    return done.stdout


class Agent:
    """A running agent. The answers to each request wait in a queue of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)
        self._last_id = 0
        self._broken = ""
        self.transcript: list[str] = []
        self._reading = asyncio.create_task(self._read())

    def send(self, op: str, **fields: Any) -> int:
        """Send a request; return its id."""
        self._last_id += 1
        self._say({"id": self._last_id, "op": op} | fields)
        # Create the queue now, so that the agent's end reaches it.
        self._answers[self._last_id].empty()
        return self._last_id

    async def answer(self, number: int) -> dict[str, Any]:
        """Return the next answer to a request."""
        answers = self._answers[number]
        if self._broken and answers.empty():
            raise AssertionError(self._broken)
        answer = await answers.get()
        assert answer, self._broken
        return answer

    async def end(self) -> int:
        """Close the input, and wait for the end of the agent. Return the exit code."""
        assert self._process.stdin
        with suppress(ConnectionError):
            self._process.stdin.close()
            await self._process.stdin.wait_closed()
        code = await self._process.wait()
        await self._reading
        return code

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        line = json.dumps(message, ensure_ascii=False)
        self.transcript.append(f"> {line}")
        self._process.stdin.write(f"{line}\n".encode())

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            self.transcript.append(f"< {text}")
            try:
                answer = json.loads(text)
                self._answers[answer.pop("id")].put_nowait(answer)
            except (ValueError, KeyError, TypeError, AttributeError):
                self._broken = f"the agent wrote a line that is not an answer: {text}"
                break
        self._broken = self._broken or "the agent has ended"
        for answers in self._answers.values():
            answers.put_nowait({})


@asynccontextmanager
async def running(client: str, log: Path, variables: dict[str, str]) -> AsyncIterator[Agent]:
    """Run a client's agent until the context ends.

    log: file for its standard error. variables: additional environment variables.
    """
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            CLIENTS / client / "agent", env=ENVIRONMENT | variables,
            stdin=PIPE, stdout=PIPE, stderr=errors, limit=2**20, start_new_session=True,
        )  # fmt: skip
        try:
            yield Agent(process)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, 9)
                await process.wait()


@asynccontextmanager
async def program(client: str, option: str, **variables: str) -> AsyncIterator[Process]:
    """Run a program of a client, such as its --shop, until the context ends.

    variables: additional environment variables.
    """
    process = await asyncio.create_subprocess_exec(
        CLIENTS / client / "agent", option, env=ENVIRONMENT | variables, stdout=PIPE, start_new_session=True
    )
    try:
        yield Process(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
