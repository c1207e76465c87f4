"""Amounts in the formats of lightning-invoicerequest(7), parsed exactly, and their limit. Pure."""

import re

from tilld.errors import InvalidRequest

FORMS = (
    'a whole number of millisatoshi, or a string such as "1000msat", "10000sat", "1.000sat" (three '
    'decimals) or "0.00001btc" (1 to 11 decimals)'
)

# 30 digits exceed all amounts; parsing longer numbers would only take time.
_written = re.compile(
    r"(?P<whole>[0-9]{1,30})(?:msat)?"
    r"|(?P<sat>[0-9]{1,30})sat"
    r"|(?P<sats>[0-9]{1,30})\.(?P<msat>[0-9]{3})sat"
    r"|(?P<btc>[0-9]{1,30})\.(?P<part>[0-9]{1,11})btc"
).fullmatch


def msat(value: int | str, name: str) -> int:
    """Return an amount in millisatoshi. Raises InvalidRequest, naming the field."""
    if isinstance(value, int):
        return value
    match = _written(value)
    if not match:
        raise InvalidRequest(f"{name} must be {FORMS}")
    match match.lastgroup:
        case "whole":
            return int(match["whole"])
        case "sat":
            return int(match["sat"] + "000")
        case "msat":
            return int(match["sats"] + match["msat"])
        case _:
            return int(match["btc"] + match["part"].ljust(11, "0"))


# lightningd counts tenths of a millisatoshi in 64 bits, and cannot decode a bolt11 with a larger amount.
MAX_AMOUNT_MSAT = 2**64 // 10


def check_amount(amount_msat: int, name: str) -> None:
    """Check the limits of an invoice's amount. Raises InvalidRequest, naming the field."""
    if not 1 <= amount_msat <= MAX_AMOUNT_MSAT:
        raise InvalidRequest(f"{name} must be at least 1 and at most {MAX_AMOUNT_MSAT} (millisatoshi)")
