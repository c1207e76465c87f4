"""Texts of callers: limits in bytes of UTF-8, and allowed characters."""

from collections.abc import Callable

import pytest

from tilld.errors import InvalidRequest, TillError, TooLarge
from tilld.formats.text import check_label, check_line, check_text

LINE = ["", "x" * 8, "é" * 4, "\x7f", "\u2028"]
LINES = ["a\tb", "a\nb", "a\r\nb"]


@pytest.mark.parametrize(("check", "texts"), [(check_line, LINE), (check_text, LINE + LINES)])
def test_a_text_within_its_limits_is_good(check: Callable[[str, str, int], None], texts: list[str]) -> None:
    for text in texts:
        check(text, "issuer", 8)


@pytest.mark.parametrize("check", [check_line, check_text])
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("é" * 5, TooLarge, "^issuer must have at most 8 bytes, but has 10$"),
        ("x", InvalidRequest, "^issuer must have 2 to 8 bytes$"),
        ("a\0b", InvalidRequest, "^issuer must not have control characters"),
        ("\x1b[31m", InvalidRequest, "^issuer must not have control characters"),
        ("a\ud800", InvalidRequest, "^issuer is not valid Unicode: it contains an unpaired surrogate$"),
    ],
)
def test_a_text_beyond_a_limit_is_refused(
    check: Callable[..., None], text: str, error: type[TillError], message: str
) -> None:
    with pytest.raises(error, match=message):
        check(text, "issuer", 8, least=2)


@pytest.mark.parametrize("text", LINES)
def test_a_line_has_no_tab_or_line_break(text: str) -> None:
    with pytest.raises(InvalidRequest, match="^issuer must not have control characters$"):
        check_line(text, "issuer", 8)


@pytest.mark.parametrize(
    ("label", "error", "message"),
    [
        ("", InvalidRequest, "^label must have 1 to 128 bytes"),
        ("a\nb", InvalidRequest, "^label must not have control characters"),
        ("é" * 65, TooLarge, "^label must have at most 128 bytes, but has 130$"),
    ],
)
def test_a_label_is_a_line_of_1_to_128_bytes(label: str, error: type[TillError], message: str) -> None:
    check_label("é" * 64)

    with pytest.raises(error, match=message):
        check_label(label)
