"""Runs another program that ends when this one does, even when this one is killed.

As a program, `python -m tilld.runtime.child_process COMMAND …` asks the kernel for a signal at its parent's
death and becomes COMMAND. Linux only; elsewhere the program has to be stopped.
"""

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1


async def start(
    *command: str, cwd: Path | None = None, output: int | None = None, errors: IO[bytes] | None = None
) -> Process:
    """Start a program as our child, in a session of its own: Ctrl-C is ours, it is told by us.

    `output` and `errors` are where its standard output and error go, None: to ours.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tilld.runtime.child_process", str(os.getpid()), *command,
        cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=output,
        stderr=errors, start_new_session=True,
    )  # fmt: skip


async def stop(process: Process, *, patience: float) -> None:
    """End a child: politely, and after `patience` seconds for good."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def main() -> None:
    """Become the command, tied to the parent whose process id comes first."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the kernel was asked.
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
