"""Progress of long work: its form and its frequency."""

import os
import sys

import pytest
import structlog

from tilld.config import USUAL
from tilld.runtime import logs
from tilld.runtime.progress import Progress

AT_ONCE = USUAL._replace(quiet_seconds=0)


def test_short_work_reports_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading", 10) as reading:
        reading.at(5)
        reading.at(10)

    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_it_is_a_log_line_with_a_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """The end of the work logs no line."""
    with Progress("reading", 10, AT_ONCE) as reading:
        reading.at(5)
        reading.at(10)

    [line] = capsys.readouterr().out.splitlines()
    assert "reading" in line
    assert "done=5" in line
    assert "of=10" in line
    assert "per_second=" in line


def test_on_a_terminal_it_is_a_bar_below_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar disappears at the end of the work; lines of the log stay whole."""
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    logs.configure("info", "text")
    display, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Progress("reading", 10, AT_ONCE) as reading:
            reading.at(5)
            structlog.get_logger().info("a line of the log")
        structlog.reset_defaults()
        shown = seen_on(display)
    os.close(display)

    assert "reading" in shown
    assert "5/10" in shown
    assert "event='a line of the log'\r\n" in shown
    assert shown.endswith("\x1b[2K")


def seen_on(display: int) -> str:
    os.set_blocking(display, False)
    seen = b""
    try:
        while True:
            seen += os.read(display, 65536)
    except BlockingIOError:
        return seen.decode()
