"""Progress of long work: how it is told, and when."""

import os
import sys

import pytest

from tilld.runtime import logs, progress
from tilld.runtime.progress import Progress


@pytest.fixture
def at_once(monkeypatch):
    """Told without waiting for the third second."""
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0)


def test_what_is_done_soon_tells_nothing(capsys):
    with Progress("reading", 10) as reading:
        reading.at(5)
        reading.at(10)

    assert capsys.readouterr() == ("", "")


def test_elsewhere_it_is_a_line_of_the_log_with_a_rate(at_once, capsys):
    """But not at the end, when there is nothing more to wait for."""
    with Progress("reading", 10) as reading:
        reading.at(5)
        reading.at(10)

    [line] = capsys.readouterr().out.splitlines()
    assert "reading" in line
    assert "done=5" in line
    assert "of=10" in line
    assert "per_second=" in line


def test_on_a_terminal_it_is_a_bar_below_the_log(at_once, monkeypatch):
    """Which is gone when the work is done; lines of the log stay whole."""
    display, terminal = os.openpty()
    with open(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Progress("reading", 10) as reading:
            reading.at(5)
            logs._StandardError().write("a line of the log\n")
        shown = seen_on(display)
    os.close(display)

    assert "reading" in shown
    assert "5/10" in shown
    assert "a line of the log\r\n" in shown
    assert shown.endswith("\x1b[2K")


def seen_on(display):
    os.set_blocking(display, False)
    seen = b""
    try:
        while True:
            seen += os.read(display, 65536)
    except BlockingIOError:
        return seen.decode()
