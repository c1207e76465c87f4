"""Texts that callers give: their size, and the characters in them."""

from tilld.errors import InvalidRequest, TooLarge
from tilld.formats.ids import MAX_LABEL_BYTES, is_label


def check_label(label: str) -> None:
    """Make sure that a text can be a label. Raises InvalidRequest or TooLarge."""
    check_text(label, "label", MAX_LABEL_BYTES)
    if not is_label(label):
        raise InvalidRequest("label must have 1 to 128 bytes and no control characters")


def check_text(text: str, name: str, limit: int) -> None:
    """Make sure that a text is one, of at most so many bytes. Raises InvalidRequest or TooLarge."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} has half of a surrogate pair, which is no text") from None
    if size > limit:
        raise TooLarge(f"{name} must have at most {limit} bytes, it has {size}")
