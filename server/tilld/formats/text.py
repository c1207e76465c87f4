"""Checks of callers' texts: size in bytes of UTF-8, and characters."""

import re

from tilld.errors import InvalidRequest, TooLarge

MAX_LABEL_BYTES = 128

# lightningd rejects \u escapes, which JSON needs for control characters.
_control = re.compile(r"[\x00-\x1f]").search
_control_except_tab_and_line_breaks = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]").search


def check_label(label: str) -> None:
    """Check a label. Raises InvalidRequest or TooLarge."""
    check_line(label, "label", MAX_LABEL_BYTES, least=1)


def is_label(text: str) -> bool:
    """Return whether a text is a valid label."""
    try:
        check_label(text)
    except (InvalidRequest, TooLarge):
        return False
    return True


def check_line(line: str, field: str, most: int, *, least: int = 0) -> None:
    """Check a text without control characters, of `least` to `most` bytes.

    Raises InvalidRequest or TooLarge, naming the field and the limit.
    """
    _check_size(line, field, most, least)
    if _control(line):
        raise InvalidRequest(f"{field} must not have control characters")


def check_text(text: str, field: str, most: int, *, least: int = 0) -> None:
    """Check a text that may have tabs and line breaks, of `least` to `most` bytes.

    Raises InvalidRequest or TooLarge, naming the field and the limit.
    """
    _check_size(text, field, most, least)
    if _control_except_tab_and_line_breaks(text):
        raise InvalidRequest(f"{field} must not have control characters except tabs and line breaks")


def _check_size(text: str, field: str, most: int, least: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field} is not valid Unicode: it contains an unpaired surrogate") from None
    if size > most:
        raise TooLarge(f"{field} must have at most {most} bytes, but has {size}")
    if size < least:
        raise InvalidRequest(f"{field} must have {least} to {most} bytes")
