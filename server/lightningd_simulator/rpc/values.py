"""lightningd's readers of single values. Each raises ValueError with the expected kind of value."""

import re
from collections.abc import Callable

from coincurve import PublicKey

from lightningd_simulator.bolts.bolt12_messages import InvoiceRequest
from lightningd_simulator.rpc.requests import ESCAPE, Number, Value, as_written, unescaped

_AMOUNT = re.compile(r"(\d{1,40})(?:\.(\d{0,11}))?(msat|sat|btc|\Z)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_CHANNEL = re.compile(r"\s*\+?(\d{1,20})x\+?(\d{1,20})x([+-]?\d{1,20})", re.ASCII)


def text(value: Value) -> str:
    """Return any value as written; a string without its quotes."""
    return value if isinstance(value, str) else as_written(value)


def anything(value: Value) -> Value:
    """Return a value that the simulated node ignores."""
    return value


def label(value: Value) -> str:
    """Return a label as written, with its escapes."""
    if isinstance(value, str) and (not isinstance(value, Number) or (value.isascii() and value.isdigit())):
        return str(value)
    raise ValueError("should be a string or number")


def description(value: Value) -> str:
    """Return a string, which must not contain `\\u` escapes."""
    if not isinstance(value, str) or isinstance(value, Number) or _has_unicode_escape(value):
        raise ValueError("should be a string (without \\u)")
    return unescaped(value)


def u64(value: Value) -> int:
    """Return an unsigned integer, also from a string. A negative one wraps."""
    number = _integer(value)
    if number is None or abs(number) >= 2**64:
        raise ValueError("should be an unsigned 64 bit integer")
    return number % 2**64


def u32(value: Value) -> int:
    """Return an unsigned integer of 32 bits."""
    number = _integer(value)
    if number is None or not 0 <= number < 2**32:
        raise ValueError("should be an unsigned 32 bit integer")
    return number


def number(value: Value) -> int:
    """Return an unsigned integer of 32 bits, with lightningd's shorter error message."""
    try:
        return u32(value)
    except ValueError:
        raise ValueError("should be an integer") from None


def index_start(value: Value) -> int:
    """Return the start of a list. lightningd's database takes it as a signed number."""
    start = u64(value)
    return start if start < 2**63 else start - 2**64


def flag(value: Value) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError("should be 'true' or 'false'")


def array(value: Value) -> list[Value]:
    """Return an array of anything."""
    if isinstance(value, list):
        return value
    raise ValueError("should be an array")


def channel_hints(value: Value) -> bool | frozenset[str]:
    """Return whether to expose private channels, or the short channel ids to expose."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        return frozenset(_channel(each, "should be a short channel id") for each in value)
    return frozenset({_channel(value, "should be a short_channel_id of form NxNxN")})


def _channel(value: Value, problem: str) -> str:
    """Return a short channel id. Like lightningd's scanf, ignore what follows, and wrap the last number."""
    found = _CHANNEL.match(text(value))
    if not found:
        raise ValueError(problem)
    block, transaction, output = map(int, found.groups())
    if block >= 2**24 or transaction >= 2**24:
        raise ValueError(problem)
    return f"{block}x{transaction}x{output % 2**16}"


def sha256(value: Value) -> str:
    """Return 32 bytes in hex."""
    return _hex32(value, "should be a 32 byte hex value")


def node_id(value: Value) -> str:
    """Return a public key in hex."""
    digits = text(value).lower()
    try:
        return PublicKey(bytes.fromhex(digits)).format().hex()
    except ValueError:
        raise ValueError("should be a node id") from None


def preimage(value: Value) -> str:
    """Return a payment preimage in hex."""
    return _hex32(value, "should be 64 hex digits")


def string(value: Value) -> str:
    """Return a string that may be an invoice, without the prefix `lightning:`."""
    return re.sub(r"^lightning:", "", text(value), flags=re.IGNORECASE)


def invoice_string(value: Value) -> str:
    """Return an invoice in lower case, without the prefix `lightning:`."""
    return string(value).lower()


def invoice_request(value: Value) -> InvoiceRequest:
    """Return an invoice request for which an invoice can be sent."""
    return InvoiceRequest.payable(text(value))


def msat(value: Value) -> int:
    """Return an amount, in millisatoshi unless given in `sat` or `btc`."""
    amount = _amount(value)
    if amount is None:
        raise ValueError("should be a millisatoshi amount")
    return amount


def positive_msat_or_any(value: Value) -> int | None:
    """Return the amount of an invoice, or None if the payer chooses."""
    if value == "any":
        return None
    amount = _amount(value)
    if not amount:
        raise ValueError("should be positive msat or 'any'")
    return amount


def offered_msat(value: Value) -> int | None:
    """Return the amount of an offer, or None if the payer chooses. Other currencies are not simulated."""
    amount = None if value == "any" else _amount(value)
    if amount is None and value != "any":
        raise ValueError("should be 'any', msatoshis or <amount>[.<amount>]<ISO-4217>")
    return amount


def not_simulated(value: Value) -> None:
    """Reject a parameter that is not simulated."""
    raise ValueError("is not simulated")


def one_of(*names: str, problem: str) -> Callable[[Value], str]:
    """Return a reader that accepts only the given names."""

    def read(value: Value) -> str:
        if value in names:
            return str(value)
        raise ValueError(problem)

    return read


def _has_unicode_escape(text: str) -> bool:
    return any(escape[1].startswith("u") for escape in ESCAPE.finditer(text))


def _integer(value: Value) -> int | None:
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def _hex32(value: Value, problem: str) -> str:
    digits = text(value).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError(problem)
    return digits


def _amount(value: Value) -> int | None:
    if not isinstance(value, str) or not (found := _AMOUNT.match(value)):
        return None
    whole, fraction, unit = found.groups()
    if fraction is not None and unit != "btc":
        return None
    zeros = {"": 0, "msat": 0, "sat": 3, "btc": 11}[unit]
    amount = int(whole) * 10**zeros + int((fraction or "").ljust(zeros, "0") or "0")
    return amount if amount < 2**64 else None
