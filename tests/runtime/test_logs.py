"""The log: aligned and short on a terminal, keys and values or JSON elsewhere."""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import structlog

from tilld.runtime import logs
from tilld.runtime.output import Output

CLOCK = r"\d\d:\d\d:\d\d"


def _lines(display: int) -> Iterator[str]:
    with suppress(BlockingIOError):
        while True:
            yield os.read(display, 65536).decode().replace("\r\n", "\n")


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Callable[[], str]]]:
    """Return a function that configures the log for a terminal; the result reads the terminal."""
    display, terminal = os.openpty()
    os.set_blocking(display, False)

    def configure(**options: Any) -> Callable[[], str]:
        # pytest replaces sys.stderr between the set-up and the call of a test.
        output: Any = Output(terminal)
        stderr = io.TextIOWrapper(output, "utf-8", write_through=True)
        monkeypatch.setattr(sys, "stderr", stderr)
        logs.configure("info", "text", **options)
        return lambda: "".join(_lines(display))

    yield configure
    structlog.reset_defaults()
    os.close(terminal)
    os.close(display)


def test_on_a_terminal_columns_are_aligned_and_fields_follow(
    on_terminal: Callable[..., Callable[[], str]],
) -> None:
    shown = on_terminal()
    log = structlog.get_logger()
    log.info("invoice created", username="shop", label="order 1", amount_msat=None)
    log.warning("an event with a name that is longer than its column", left=3)

    first, second = shown().splitlines()
    assert re.fullmatch(
        CLOCK + r" info    invoice created {14}username=shop label='order 1' amount_msat=None", first
    )
    assert re.fullmatch(
        CLOCK + r" warning an event with a name that is longer than its column left=3", second
    )


def test_colors_are_only_where_they_are_wanted(on_terminal: Callable[..., Callable[[], str]]) -> None:
    shown = on_terminal(colors=True)
    structlog.get_logger().error("Envoy has died")

    assert re.fullmatch(f"\x1b\\[2m{CLOCK}\x1b\\[0m \x1b\\[31merror  \x1b\\[0m Envoy has died\n", shown())


@pytest.mark.parametrize("label", ["\x1b[2J", "a\nb", "a=b", "", "'"])
def test_no_value_moves_the_cursor_or_looks_like_another_field(
    label: str, on_terminal: Callable[..., Callable[[], str]]
) -> None:
    shown = on_terminal()
    structlog.get_logger().info("created", label=label)

    assert shown().endswith(f" label={label!r}\n")


def test_a_traceback_follows_its_line(on_terminal: Callable[..., Callable[[], str]]) -> None:
    shown = on_terminal()
    try:
        raise RuntimeError("no such thing")
    except RuntimeError:
        structlog.get_logger().exception("failed", reason="bug")

    line, title, *_, last = shown().splitlines()
    assert re.fullmatch(CLOCK + r" error   failed {23}reason=bug", line)
    assert (title, last) == ("Traceback (most recent call last):", "RuntimeError: no such thing")


def test_lines_of_a_start_are_held_back_until_it_is_announced(
    on_terminal: Callable[..., Callable[[], str]],
) -> None:
    """A warning is shown immediately, after the lines before it."""
    shown = on_terminal()
    log = structlog.get_logger()
    with logs.held_back() as release:
        log.info("first")
        log.warning("second")
        assert re.findall(r"first|second", shown()) == ["first", "second"]
        log.info("third")
        sys.stderr.write("the banner\n")
        release()
        log.info("fourth")

    assert re.findall(r"third|the banner|fourth", shown()) == ["the banner", "third", "fourth"]


def test_a_start_that_ends_without_a_banner_loses_no_line(
    on_terminal: Callable[..., Callable[[], str]],
) -> None:
    shown = on_terminal()
    with logs.held_back():
        structlog.get_logger().info("following the node")

    assert "following the node" in shown()


def test_without_a_terminal_lines_have_keys_and_are_not_held_back(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    logs.configure("info", "text", colors=True)
    with logs.held_back():
        structlog.get_logger().info("invoice created", label="order 1")
        line = capfd.readouterr().err
    structlog.reset_defaults()

    assert re.fullmatch(
        r"timestamp='[-0-9]+T[:.0-9]+Z' level='info' event='invoice created' label='order 1'\n", line
    )
