"""Drives a real browser by the Chrome DevTools Protocol over a pipe."""

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
# Chromium reads commands from descriptor 3 and writes to descriptor 4.
PIPED = ("sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >&2', "sh")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
# The largest message is a screenshot.
MAX_MESSAGE_BYTES = 32 * 2**20


class Page:
    """One page of the browser."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = count()
        self._session: str | None = None
        self.complaints: list[Any] = []

    async def attach(self) -> None:
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        while (reply := await self._read()).get("id") != number:
            pass
        assert "error" not in reply, reply
        return reply["result"]

    async def _read(self) -> Any:
        assert self._process.stdout
        async with asyncio.timeout(30):
            message = json.loads((await self._process.stdout.readuntil(b"\0"))[:-1])
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(message["params"])
        return message

    async def run(self, script: str) -> Any:
        """Run a script and return its value, after its promise is fulfilled."""
        reply = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    async def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more
            )


@asynccontextmanager
async def open_page(profile: Path) -> AsyncIterator[Page]:
    """Run a browser with a fresh profile until the context ends."""
    assert CHROMIUM
    process = await asyncio.create_subprocess_exec(
        *PIPED, CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe",
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=MAX_MESSAGE_BYTES,
    )  # fmt: skip
    try:
        page = Page(process)
        await page.attach()
        yield page
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
