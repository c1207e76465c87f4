"""Bech32 (BIP 173) of any length: letters of five bits each, with or without a checksum."""

from base64 import b32decode, b32encode

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_BECH32, _FROM_BECH32 = str.maketrans(_BASE32, LETTERS), str.maketrans(LETTERS, _BASE32)
_VALUES = {letter: value for value, letter in enumerate(LETTERS)}
_CHECKSUM_LETTERS = 6
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _sum_of_generators(five_bits: int) -> int:
    total = 0
    for bit, generator in enumerate(_GENERATORS):
        if five_bits >> bit & 1:
            total ^= generator
    return total


_SUMS = [_sum_of_generators(five_bits) for five_bits in range(32)]


def letters_of(data: bytes) -> str:
    """Return bytes as letters; the last letter is padded with zeros."""
    return b32encode(data).decode().rstrip("=").translate(_TO_BECH32)


def bytes_of(letters: str, *, filled: bool = False) -> bytes:
    """Return letters as bytes; surplus bits are dropped, or padded with zeros.

    Raises ValueError for invalid letters.
    """
    size = -(-len(letters) * 5 // 8) if filled else len(letters) * 5 // 8
    return b32decode(letters.translate(_FROM_BECH32) + "A" * (-len(letters) % 8))[:size]


def letters_of_number(number: int, size: int = 1) -> str:
    """Return a number as at least `size` letters."""
    letters = ""
    while number or len(letters) < size:
        number, last = divmod(number, 32)
        letters = LETTERS[last] + letters
    return letters


def number_of(letters: str) -> int:
    """Return letters as a number."""
    number = 0
    for letter in letters:
        number = number * 32 + _VALUES[letter]
    return number


def with_checksum(prefix: str, letters: str) -> str:
    """Return prefix, letters and checksum as a string."""
    checksum = letters_of_number(_polymod(prefix, letters + "q" * _CHECKSUM_LETTERS) ^ 1, _CHECKSUM_LETTERS)
    return f"{prefix}1{letters}{checksum}"


def without_checksum(string: str) -> tuple[str, str]:
    """Return the prefix and the letters of a lower-case string.

    Raises ValueError if the checksum is wrong.
    """
    prefix, _, letters = string.rpartition("1")
    if not prefix or not set(letters) <= _VALUES.keys() or _polymod(prefix, letters) != 1:
        raise ValueError("Bad bech32 string")
    return prefix, letters[:-_CHECKSUM_LETTERS]


def _polymod(prefix: str, letters: str) -> int:
    codes = prefix.encode()
    values = [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes), *map(_VALUES.get, letters)]
    remainder = 1
    for value in values:
        remainder = (remainder & 0x1FFFFFF) << 5 ^ (value or 0) ^ _SUMS[remainder >> 25]
    return remainder
