"""Amounts as people type them."""

import re
from fractions import Fraction

FORMS = "5000 or 5000msat (millisatoshi), 5sat, 0.00001btc"
MSAT = {"": 1, "msat": 1, "sat": 1_000, "btc": 100_000_000_000}
# MAX_MSAT has 19 digits; the limit keeps parsing fast.
NUMBER = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?) ?(msat|sat|btc|)", re.IGNORECASE)
# Till's limit: lightningd cannot parse a payment request with a larger amount.
MAX_MSAT = 1_844_674_407_370_955_161


def parse(text: str) -> int:
    """Return an amount in millisatoshi. Raise ValueError with the fault and the valid forms."""
    found = NUMBER.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not an amount; use {FORMS}")
    # A Fraction is exact at any size.
    msat = Fraction(found[1]) * MSAT[found[2].lower()]
    if msat.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of millisatoshi; use {FORMS}")
    if not 1 <= msat <= MAX_MSAT:
        raise ValueError(f"{text!r} is not between 1 and {MAX_MSAT} msat; use {FORMS}")
    return int(msat)
