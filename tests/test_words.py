"""Plain words in short sentences: in documents, protos, messages, /docs, docstrings and comments."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
OPENAPI = "server/tilld/rest_api/openapi.json"
MESSAGES = "tests/messages.txt"
PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "clients/*/README.md", "proto/till/**/*.proto", OPENAPI, MESSAGES)
    for page in sorted(ROOT.glob(pattern))
]
MODULES = [
    module
    for folder in ("server", "tests", "benchmarks", "scripts", "clients/python")
    for module in sorted((ROOT / folder).rglob("*.py"))
    if "_pb2" not in module.name
]
MOST_WORDS = 25
NOT_PROSE = re.compile(r"^```.*?^```|<!--.*?-->", re.MULTILINE | re.DOTALL)
NOT_WORDS = re.compile(r"`[^`]*`|\]\([^)]*\)|\([^()]*\)|\d[\d,.]*\d|\d")
ENDS = re.compile(r"[.:;?!][*\"]*(?=\s|$)|\||\n")
# Write: immediately, concurrently; until cancelled; omits; expired; reports, logs, notifies; continues.
PHRASES = re.compile(
    r"\b(?:at once|for ever|leaves? (?:it |one |them )?(?:away|out)|its time is over"
    r"|tells? (?:of|that|when|which|how)|(?:is|are|was|were|be) told|told of|goes on|go on|h[eo]ld against"
    r"|bad weather|made anew|once more|as long as it lasts|is no whole|whoever|shall)\b",
    re.IGNORECASE,
)
# A docstring starts with a noun, or with an imperative.
RIDDLES = re.compile(r"(?:What|Who|Whoever|Whose|Of|Than)\b")
NOT_IN_REMARKS = re.compile(r"^.*\S {2,}\S.*$|`[^`]*`", re.MULTILINE)  # tables and code


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


def docstrings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def comments(source: str) -> str:
    """Return all comments. Those on consecutive lines are one paragraph."""
    text, last = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text += ("\n" if token.start[0] == last + 1 else "\n\n") + token.string.lstrip("# ")
            last = token.start[0]
    return text


def long_sentences(text: str) -> list[str]:
    sentences = ENDS.split(NOT_WORDS.sub(" X ", text))
    return [each for each in sentences if len(re.findall(r"\w[\w'-]*", each)) > MOST_WORDS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path) -> None:
    assert long_sentences(prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_words_are_plain(page: Path) -> None:
    assert PHRASES.findall(prose(page)) == []


def test_docstrings_and_comments_are_plain() -> None:
    faults = []
    for module in MODULES:
        name, source = str(module.relative_to(ROOT)), module.read_text()
        texts = [NOT_IN_REMARKS.sub("X", each) for each in (*docstrings(source), comments(source))]
        for paragraph in "\n\n".join(texts).split("\n\n"):
            text = " ".join(paragraph.split())
            faults += [(name, each) for each in (*PHRASES.findall(text), *long_sentences(text))]
        faults += [(name, each) for each in texts if RIDDLES.match(each)]

    assert faults == []
