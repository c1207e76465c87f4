"""Child processes that end with this process, even if it is killed.

`python -m tilld.runtime.child_process PARENT COMMAND …` asks the kernel for a signal when the parent dies,
and becomes COMMAND. This works on Linux only; on other systems `stop` must end the child.
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
    """Start a child in a session of its own, so that Ctrl-C does not reach it.

    `output` and `errors` are its standard output and error; None inherits those of this process.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tilld.runtime.child_process", str(os.getpid()), *command,
        cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=output,
        stderr=errors, start_new_session=True,
    )  # fmt: skip


async def stop(process: Process, *, patience: float) -> None:
    """Stop a child: SIGTERM, and after `patience` seconds SIGKILL."""
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
    """Become the command that follows the parent's process id in the arguments."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before prctl.
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
