"""The page /docs in a real browser: narrow screen, dark mode, keyboard, examples."""

import json
import re
import shlex
from collections.abc import AsyncIterator
from functools import reduce
from importlib import resources
from operator import getitem
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.chromium import CHROMIUM, Page, open_page
from till.webhooks import sign

DOCUMENT = json.loads(resources.files("tilld.rest_api").joinpath("openapi.json").read_text())
OPERATIONS = {
    it["operationId"]: (method, path, it)
    for path, item in DOCUMENT["paths"].items()
    for method, it in item.items()
}
RECEIVED = DOCUMENT["webhooks"]["event"]["post"]
RENDERED = """
new Promise((resolve) => {
  const look = () => document.querySelector("main") ? resolve() : requestAnimationFrame(look);
  look();
})
"""
EXAMPLES = """
Object.fromEntries([...document.querySelectorAll("details")].map((each) => [
  each.id,
  Object.fromEntries([...each.querySelectorAll("section")].map((part) => [
    part.firstChild.textContent, [...part.querySelectorAll("pre")].map((it) => it.textContent),
  ])),
]))
"""
TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter((each) => each.getClientRects().length && each.getBoundingClientRect().right > innerWidth)
  .map((each) => each.outerHTML)
"""
FOCUS = "document.activeElement"
OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
# The system colour Canvas has no computed value of its own, so an element is given this colour.
LIGHTNESS = r"""
(() => {
  const probe = document.body.appendChild(document.createElement("p"));
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("body > p { background: Canvas }");
  document.adoptedStyleSheets = [sheet];
  const style = getComputedStyle(probe);
  return [style.color, style.backgroundColor].map((each) => Math.max(...each.match(/\d+/g).slice(0, 3)));
})()
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, which is not installed")


@pytest.fixture
async def page(lonely: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[Page]:
    """The rendered page; its scripts and styles comply with its content security policy."""
    async with open_page(tmp_path / "profile") as page:
        await page.call("Page.navigate", url=f"{lonely.base_url}/docs")
        await page.run(RENDERED)
        yield page
        assert not page.complaints


async def test_it_fits_a_telephone(page: Page) -> None:
    """With every call open, neither the page nor a part of it scrolls sideways."""
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    await page.call("Emulation.setDeviceMetricsOverride", **screen)
    await page.run(OPEN_ALL)

    assert await page.run("document.documentElement.scrollWidth") == 390
    assert await page.run(TOO_WIDE) == []


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
async def test_it_follows_the_colour_scheme_of_the_reader(page: Page, scheme: str, is_dark: bool) -> None:
    await page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )

    text, background = await page.run(LIGHTNESS)

    assert abs(text - background) > 200
    assert (background < 50) == is_dark


async def test_a_keyboard_opens_a_call(page: Page) -> None:
    """Tab moves the focus from the list of calls to the first call; the focus is visible."""
    await page.run("document.querySelector('nav li:last-child a').focus()")
    await page.press("Tab", 9)

    assert await page.run(f"{FOCUS}.localName") == "summary"
    assert await page.run(f"getComputedStyle({FOCUS}).outlineWidth") == "3px"
    await page.press("Enter", 13, "\r")

    assert await page.run(f"{FOCUS}.parentElement.open")


async def test_its_list_of_calls_opens_them(page: Page) -> None:
    for name in OPERATIONS:
        await page.run(f"document.querySelector('nav a[href=\"#{name}\"]').click()")
        await page.run("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")

        assert await page.run(f"[{FOCUS}.parentElement.id, {FOCUS}.parentElement.open]") == [name, True]


async def test_it_has_landmarks_and_headings_in_order(page: Page) -> None:
    levels = await page.run("[...document.querySelectorAll('h1,h2,h3,h4')].map((each) => +each.localName[1])")

    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip([0, *levels], levels, strict=False))
    assert await page.run("[...document.body.children].map((each) => each.localName)") == [
        "header", "nav", "main", "footer",
    ]  # fmt: skip
    assert await page.run("document.querySelectorAll('main details').length") == len(OPERATIONS) + 1


def followed(it: dict[str, Any]) -> dict[str, Any]:
    return reduce(getitem, it["$ref"].split("/")[1:], DOCUMENT) if "$ref" in it else it


async def test_every_call_has_an_example_request_and_response(page: Page) -> None:
    """The request is a curl command with the method, path and body of the document."""
    examples = await page.run(EXAMPLES)

    assert examples.keys() == OPERATIONS.keys() | {RECEIVED["operationId"]}
    for name, (method, path, it) in OPERATIONS.items():
        assert examples[name]["Example response"], name
        bodies = it.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
        expected = [each["value"] for each in bodies.values()] or [None]
        for command, body in zip(examples[name]["Example request"], expected, strict=True):
            words = shlex.split(command)
            url = httpx.URL(next(each for each in words if each.startswith("http")))
            assert path.split("{", maxsplit=1)[0] in url.path
            assert "{" not in url.path
            assert ("-X" in words) == (method != ("post" if body else "get"))
            assert ("-d" in words) == (body is not None)
            assert "-X" not in words or words[words.index("-X") + 1] == method.upper()
            asked = [each for each in map(followed, it.get("parameters", [])) if each["in"] == "query"]
            assert dict(url.params) == {
                each["name"]: each["example"] for each in asked if each.get("required")
            }
            assert body is None or json.loads(words[words.index("-d") + 1]) == body
            assert ("-N" in words) == name.startswith("watch")


async def test_an_event_is_shown_as_a_server_receives_it(page: Page) -> None:
    """The headers and the exact bytes, so that the signature can be verified."""
    request, ping = (await page.run(EXAMPLES))[RECEIVED["operationId"]]["Example request"]
    headers, _, body = request.partition("\n\n")
    event_id, timestamp, signature = (each.partition(": ")[2] for each in headers.splitlines())

    [secret] = re.findall(r"whsec_\w+", RECEIVED["description"])
    assert signature == sign(secret, event_id, int(timestamp), body.encode())
    assert json.loads(ping.partition("\n\n")[2])["type"] == "ping"
