"""How lightningd reads a single value. Each reader raises ValueError, saying what the value should be."""

import re
from collections.abc import Callable

from coincurve import PublicKey

from lightningd_simulator.bolts.bolt12_messages import InvoiceRequest
from lightningd_simulator.rpc.requests import ESCAPE, Number, Value, as_written, unescaped

_AMOUNT = re.compile(r"(\d{1,40})(?:\.(\d{0,11}))?(msat|sat|btc|\Z)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_CHANNEL = re.compile(r"\d+x\d+x\d+", re.ASCII)


def text(value: Value) -> str:
    """Take any value as it was written, a string without its quotes."""
    return value if isinstance(value, str) else as_written(value)


def anything(value: Value) -> Value:
    """Take what the simulated node has no use for."""
    return value


def label(value: Value) -> str:
    """Read a label: as it was written, escapes and all."""
    if isinstance(value, str) and (not isinstance(value, Number) or (value.isascii() and value.isdigit())):
        return str(value)
    raise ValueError("should be a string or number")


def description(value: Value) -> str:
    """Read a string without `\\u` escapes."""
    if not isinstance(value, str) or isinstance(value, Number) or _has_unicode_escape(value):
        raise ValueError("should be a string (without \\u)")
    return unescaped(value)


def u64(value: Value) -> int:
    """Read an unsigned integer, also from a string. A negative one wraps."""
    number = _integer(value)
    if number is None or abs(number) >= 2**64:
        raise ValueError("should be an unsigned 64 bit integer")
    return number % 2**64


def u32(value: Value) -> int:
    """Read an unsigned integer of 32 bits."""
    number = _integer(value)
    if number is None or not 0 <= number < 2**32:
        raise ValueError("should be an unsigned 32 bit integer")
    return number


def number(value: Value) -> int:
    """Read an unsigned integer of 32 bits, where lightningd says less of what it wants."""
    try:
        return u32(value)
    except ValueError:
        raise ValueError("should be an integer") from None


def index_start(value: Value) -> int:
    """Read where a list begins. The real node's database takes it for a signed number."""
    start = u64(value)
    return start if start < 2**63 else start - 2**64


def flag(value: Value) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError("should be 'true' or 'false'")


def array(value: Value) -> list[Value]:
    """Read an array of anything."""
    if isinstance(value, list):
        return value
    raise ValueError("should be an array")


def channel_hints(value: Value) -> bool:
    """Tell whether certain channels are asked for, rather than all or none."""
    if isinstance(value, bool):
        return False
    if isinstance(value, list):
        if not all(_CHANNEL.fullmatch(text(channel)) for channel in value):
            raise ValueError("should be a short channel id")
        return bool(value)
    if not _CHANNEL.fullmatch(text(value)):
        raise ValueError("should be a short_channel_id of form NxNxN")
    return True


def sha256(value: Value) -> str:
    """Read 32 bytes in hex."""
    return _hex32(value, "should be a 32 byte hex value")


def node_id(value: Value) -> str:
    """Read a public key in hex."""
    digits = text(value).lower()
    try:
        return PublicKey(bytes.fromhex(digits)).format().hex()
    except ValueError:
        raise ValueError("should be a node id") from None


def preimage(value: Value) -> str:
    """Read a payment preimage in hex."""
    return _hex32(value, "should be 64 hex digits")


def string(value: Value) -> str:
    """Read what may be an invoice, without `lightning:` in front."""
    return re.sub(r"^lightning:", "", text(value), flags=re.IGNORECASE)


def invoice_string(value: Value) -> str:
    """Read an invoice: in lower case, without `lightning:` in front."""
    return string(value).lower()


def invoice_request(value: Value) -> InvoiceRequest:
    """Read an invoice request that is good to send an invoice for."""
    return InvoiceRequest.payable(text(value))


def msat(value: Value) -> int:
    """Read an amount, in millisatoshi unless it says `sat` or `btc`."""
    amount = _amount(value)
    if amount is None:
        raise ValueError("should be a millisatoshi amount")
    return amount


def positive_msat_or_any(value: Value) -> int | None:
    """Read an amount to ask for; None lets the payer choose."""
    if value == "any":
        return None
    amount = _amount(value)
    if not amount:
        raise ValueError("should be positive msat or 'any'")
    return amount


def offered_msat(value: Value) -> int | None:
    """Read an amount to offer for; None lets the payer choose. Other currencies are not simulated."""
    amount = None if value == "any" else _amount(value)
    if amount is None and value != "any":
        raise ValueError("should be 'any', msatoshis or <amount>[.<amount>]<ISO-4217>")
    return amount


def not_simulated(value: Value) -> None:
    """Refuse what a real node could do."""
    raise ValueError("is not simulated")


def one_of(*names: str, problem: str) -> Callable[[Value], str]:
    """Make a reader that knows a few names."""

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
