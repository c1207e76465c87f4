"""Every command and snippet of README, docs/start and some guides works as printed.

A reader follows a page from top to bottom, in a fresh directory, beside a Till started by `make run`.
Only the addresses differ. INVOICEID and similar words are copied from the output so far.
An HTML comment before a block marks the block as `not run`, with the reason, or as one that `goes on`:
a background process, which ends before the page does.
"""

import asyncio
import json
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import pytest

from tests.support.processes import tilld
from tests.support.waiting import eventually

ROOT = Path(__file__).parent.parent
GUIDES = [
    ROOT / "docs" / "guides" / name
    for name in ("doctor-and-import.md", "events.md", "keys.md", "payouts.md", "webhooks.md")
]
RECEIVERS = sorted((ROOT / "docs" / "guides" / "webhooks").glob("[rR]eceiver.*"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "start").glob("*.md")), *GUIDES]
BLOCK = re.compile(
    r"^(?:<!-- (not run|goes on): [^\n]+ -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
COPIED = {
    "INVOICEID": r'(?:"invoiceid":"|till watch )([\w~]+)',
    "PAYREQ": r"\b(lnbcrt\w+)",
    "BOLT12": r"\b(lnr1\w+)",
    "INVREQ_ID": r'"invreq_id":"(\w+)"',
    "WEBHOOK_ID": r'"id":"([\w~]{21})","url"',
    "ID": r"^(\w{12})  \w+",
}
PICTURES = {"text"}


class Reader:
    """Types the contents of a page; each block is a terminal of its own, with shared variables."""

    def __init__(self, directory: Path, addresses: dict[str, str]) -> None:
        self._directory = directory
        self._addresses = addresses
        self._outputs: list[Path] = []
        self.going_on: list[tuple[Process, Path]] = []

    async def sh(self, text: str, goes_on: bool) -> None:
        """Run commands, with the variables of earlier blocks."""
        for name, pattern in COPIED.items():
            if re.search(rf"\b{name}\b", text):
                said = "\n".join(each.read_text() for each in self._outputs)
                text = re.sub(rf"\b{name}\b", re.findall(pattern, said, re.MULTILINE)[-1], text)
        script = f"touch vars && . ./vars && set -ae\n{text}set +a\nexport -p > vars\n"
        await self._run(goes_on, "bash", "-c", self._here(script))
        if "tilld node pay" in text:
            await self._sees_it_paid()

    async def python(self, text: str, goes_on: bool) -> None:
        """Run a Python program."""
        (self._directory / "first_invoice.py").write_text(self._here(text))
        await self._run(goes_on, ".venv/bin/python", "first_invoice.py")

    async def json(self, text: str, goes_on: bool) -> None:
        """Compare the names of a response with those of the last output."""
        *_, answered = [each for each in self._outputs[-1].read_text().splitlines() if each.startswith("{")]
        assert shape(json.loads(text)) == shape(json.loads(answered))

    async def js(self, text: str, goes_on: bool) -> None:
        """Check the syntax only: the snippet is for a page in a browser."""
        if node := shutil.which("node"):
            (self._directory / "page.js").write_text(text)
            await self._run(goes_on, node, "--check", "page.js")

    async def _sees_it_paid(self) -> None:
        """Wait until the background processes have seen a paid invoice."""
        for process, output in self.going_on:
            assert await asyncio.wait_for(process.wait(), 20) == 0, output.read_text()
            assert "paid" in output.read_text().replace("unpaid", "")
        self.going_on.clear()

    async def _run(self, goes_on: bool, *command: str) -> None:
        output = self._directory / f"output-{len(self._outputs)}"
        with output.open("w") as file:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=self._directory, stdin=DEVNULL, stdout=file, stderr=file,
                env={
                    "PATH": "/usr/bin:/bin", "HOME": str(self._directory), "PYTHONUNBUFFERED": "1",
                    "TILL_ADDRESS": self._addresses["127.0.0.1:50051"],
                },
            )  # fmt: skip
        self._outputs.append(output)
        if goes_on:
            self.going_on.append((process, output))
            await eventually(lambda: output.stat().st_size)
        else:
            assert await asyncio.wait_for(process.wait(), 20) == 0, f"{command}\n{output.read_text()}"

    def _here(self, text: str) -> str:
        for theirs, ours in self._addresses.items():
            text = text.replace(theirs, ours)
        return text


def shape(value: object) -> object:
    """Return the names in a JSON value, without the other values."""
    return {name: shape(each) for name, each in value.items()} if isinstance(value, dict) else None


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_a_reader_can_follow_the_page(page: Path, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    blocks = BLOCK.findall(page.read_text())  # noqa: ASYNC240  (no concurrent task)
    assert len(blocks) == page.read_text().count("\n```") / 2  # noqa: ASYNC240

    with (tmp_path / "log").open("w") as log:
        any_port = {"TILLD_GRPC": "127.0.0.1:0", "TILLD_REST": "127.0.0.1:0"}
        async with tilld("run", cwd=tmp_path, errors=log, **any_port) as till:
            rest = await till.says(r"(?:REST|http).*?(127\.0\.0\.1:\d+)")
            grpc = await till.says(r"gRPC.*?(127\.0\.0\.1:\d+)")
            reader = Reader(tmp_path, {"127.0.0.1:8080": rest, "127.0.0.1:50051": grpc})
            for mark, language, text in blocks:
                if mark != "not run" and language not in PICTURES:
                    await getattr(reader, language)(text, mark == "goes on")
            assert not reader.going_on


@pytest.mark.parametrize("file", RECEIVERS, ids=lambda file: file.name)
def test_the_page_shows_the_receiver_that_the_suite_runs(file: Path) -> None:
    page = (ROOT / "docs" / "guides" / "webhooks.md").read_text()

    assert file.read_text() in [text for _, _, text in BLOCK.findall(page)]


def test_the_page_has_a_receiver_for_each_client() -> None:
    assert len(RECEIVERS) == 6
