"""The words of documents, protos, error messages and /docs: plain English, in short sentences."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
# What is generated has the words of the programs.
OTHERS = {"docs/reference/commands.md", "docs/reference/configuration.md"}
OPENAPI = "server/tilld/rest_api/openapi.json"
MESSAGES = "tests/messages.txt"
PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "clients/*/README.md", "proto/till/**/*.proto", OPENAPI, MESSAGES)
    for page in sorted(ROOT.glob(pattern))
    if str(page.relative_to(ROOT)) not in OTHERS
]
MOST_WORDS = 25
NOT_PROSE = re.compile(r"^```.*?^```|<!--.*?-->", re.MULTILINE | re.DOTALL)
NOT_WORDS = re.compile(r"`[^`]*`|\]\([^)]*\)|\([^()]*\)|\d[\d,.]*\d|\d")
ENDS = re.compile(r"[.:;?!][*\"]*(?=\s|$)|\||\n")
# Write: immediately, concurrently; until cancelled; omits; expired; reports, logs, notifies; continues.
PHRASES = re.compile(
    r"\b(?:at once|for ever|leaves? (?:it |one |them )?(?:away|out)|its time is over"
    r"|tells? (?:of|that|when|which|how)|(?:is|are|was|were|be) told|told of|goes on|go on|h[eo]ld against"
    r"|bad weather|made anew|once more|as long as it lasts|is no whole)\b",
    re.IGNORECASE,
)


def prose(page: Path) -> str:
    text = page.read_text()
    if page.suffix == ".proto":
        comments = re.findall(r"(?:^ *//.*\n)+", text, re.MULTILINE)
        # A sentence may have several lines there.
        return "\n".join(re.sub(r" *// ?", " ", each).replace("\n ", " ") for each in comments)
    if page.suffix == ".json":
        return "\n".join(descriptions(json.loads(text)))
    return NOT_PROSE.sub("", text)


def descriptions(value: Any) -> Iterator[str]:
    """The prose of an OpenAPI document; its examples have none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("summary", "description") and isinstance(inner, str):
                yield inner
            elif name not in ("example", "value"):
                yield from descriptions(inner)
    elif isinstance(value, list):
        for each in value:
            yield from descriptions(each)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path) -> None:
    sentences = ENDS.split(NOT_WORDS.sub(" X ", prose(page)))

    assert [each for each in sentences if len(re.findall(r"\w[\w'-]*", each)) > MOST_WORDS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_words_are_plain(page: Path) -> None:
    assert PHRASES.findall(prose(page)) == []
