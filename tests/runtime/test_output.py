"""Output that cannot be written is dropped and blocks nothing."""

import os
import time
from collections.abc import Iterator

import pytest

from tilld.runtime.output import PATIENCE_SECONDS, Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_lines_of_any_length_are_written_whole(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = Output(writer)
    for line in (b"short\n", b"x" * 20_000 + b"\n"):
        assert output.write(line) == len(line)
        assert os.read(reader, 65536) == line
    assert output.lost == 0


def test_a_pipe_that_nobody_reads_is_waited_for_once(pipe: tuple[int, int]) -> None:
    """Later lines are dropped without waiting, until the pipe has room again."""
    reader, writer = pipe
    output = Output(writer)
    began = time.monotonic()
    while not output.lost:
        output.write(b"x" * 99 + b"\n")
    first = time.monotonic()
    for _ in range(100):
        output.write(b"lost\n")
    assert output.untold == 101
    assert time.monotonic() - first < PATIENCE_SECONDS <= first - began
    os.read(reader, 65536)
    output.write(b"there\n")
    assert os.read(reader, 65536) == b"there\n"
    assert (output.lost, output.untold) == (101, 0)


def test_a_full_disk_loses_what_is_written() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    output = Output(descriptor)
    output.write(b"lost\n")
    assert output.lost == 1
    os.close(descriptor)
