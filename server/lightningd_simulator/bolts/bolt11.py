"""BOLT 11 invoices: signing with the node's key as in lightningd, and reading."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Self

from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_recoverable, recoverable_convert

from lightningd_simulator.bolts import bech32
from lightningd_simulator.rpc.answers import NodeAborted

CURRENCY = "bcrt"
FINAL_CLTV_EXPIRY = 10

_FEATURES = 0x02024100
_DEFAULT_EXPIRY, _DEFAULT_CLTV_EXPIRY = 3600, 18
_MSAT_PER_BTC = 10**11
_PREFIX = re.compile(r"ln(bcrt|bc|tbs|tb)(?:(\d+)(\D*))?")
# In tenths of a millisatoshi.
_UNITS = {"": 10 * _MSAT_PER_BTC, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
_PUBKEY_BYTES = 33
# A hop after the public key: short channel id, two fees, and the blocks of its time lock.
_HOP = Struct(">QIIH")
# In letters.
_TIME, _SIGNATURE, _HASH = 7, 104, 52
_SIZES = {"p": _HASH, "h": _HASH, "s": _HASH}


@dataclass(frozen=True, slots=True)
class Hop:
    """A channel to the payee, which an invoice names as a route hint."""

    pubkey: str
    short_channel_id: str
    fee_base_msat: int
    fee_proportional_millionths: int
    cltv_expiry_delta: int

    def encoded(self) -> bytes:
        """Return the hop as bytes."""
        block, transaction, output = map(int, self.short_channel_id.split("x"))
        return bytes.fromhex(self.pubkey) + _HOP.pack(
            block << 40 | transaction << 16 | output,
            self.fee_base_msat,
            self.fee_proportional_millionths,
            self.cltv_expiry_delta,
        )

    @classmethod
    def decoded(cls, data: bytes) -> Self:
        """Return the hop that bytes represent."""
        channel, *fees = _HOP.unpack(data[_PUBKEY_BYTES:])
        name = f"{channel >> 40}x{channel >> 16 & 0xFFFFFF}x{channel & 0xFFFF}"
        return cls(data[:_PUBKEY_BYTES].hex(), name, *fees)


@dataclass(frozen=True, slots=True)
class Bolt11Invoice:
    """The content of an invoice; the signature is DER, and all bytes are hex."""

    currency: str
    created_at: int
    expiry: int
    payee: str
    amount_msat: int | None
    description: str | None
    description_hash: str | None
    min_final_cltv_expiry: int
    payment_secret: str
    features: str | None
    routes: list[list[Hop]] | None
    payment_hash: str
    signature: str


def new_private_key() -> str:
    """Return a new private key of a node, in hex."""
    return PrivateKey().to_hex()


def node_id(private_key: str) -> str:
    """Return the public key of a private key, in hex."""
    return PrivateKey.from_hex(private_key).public_key.format().hex()


def payment_secret(payment_preimage: str) -> str:
    """Derive the payment secret as lightningd does, so that it need not be stored."""
    preimage = bytes.fromhex(payment_preimage)
    return sha256(bytes([preimage[0] ^ 1]) + preimage[1:]).hexdigest()


def sign(
    private_key: str,
    *,
    created_at: int,
    payment_preimage: str,
    amount_msat: int | None,
    description: str,
    hash_only: bool,
    expiry: int,
    cltv: int,
    hints: Sequence[Hop] = (),
) -> str:
    """Return a signed invoice. Each of the `hints` is a route of its own.

    Raises NodeAborted for an expiry that aborts lightningd.
    """
    if expiry >= 2**60:
        raise NodeAborted("an expiry of 2**60 seconds or more")
    fields = [
        ("s", bech32.letters_of(bytes.fromhex(payment_secret(payment_preimage)))),
        ("p", bech32.letters_of(sha256(bytes.fromhex(payment_preimage)).digest())),
    ]
    if hash_only:
        fields.append(("h", bech32.letters_of(sha256(description.encode()).digest())))
    else:
        fields.append(("d", bech32.letters_of(description.encode())))
    if expiry != _DEFAULT_EXPIRY:
        fields.append(("x", bech32.letters_of_number(expiry)))
    fields.append(("c", bech32.letters_of_number(cltv % 2**16)))
    fields += [("r", bech32.letters_of(hint.encoded())) for hint in hints]
    fields.append(("9", bech32.letters_of_number(_FEATURES)))
    prefix = f"ln{CURRENCY}{_amount(amount_msat) if amount_msat else ''}"
    letters = bech32.letters_of_number(created_at, _TIME)
    letters += "".join(name + bech32.letters_of_number(len(value), 2) + value for name, value in fields)
    signature = PrivateKey.from_hex(private_key).sign_recoverable(_signed(prefix, letters))
    return bech32.with_checksum(prefix, letters + bech32.letters_of(signature))


def read(string: str) -> Bolt11Invoice:
    """Return the content of a lower-case invoice of any network.

    Raises ValueError with lightningd's message.
    """
    prefix, letters = bech32.without_checksum(string)
    currency, amount_msat = _read_prefix(prefix)
    if len(letters) < _TIME + _SIGNATURE:
        raise ValueError("can't read signature: truncated")
    content, signature = letters[:-_SIGNATURE], bech32.bytes_of(letters[-_SIGNATURE:])
    found = list(_fields(content[_TIME:]))
    fields = dict(reversed(found))
    for field, problem in (
        ("p", "No valid 'p' field found"),
        ("s", "Missing required payment secret (s field)"),
    ):
        if field not in fields:
            raise ValueError(problem)
    if not fields.keys() & {"d", "h"}:
        raise ValueError("must have either 'd' or 'h' field")
    in_hex = {name: bech32.bytes_of(fields[name]).hex() for name in _SIZES if name in fields}
    payee, der = _checked(signature, _signed(prefix, content))
    return Bolt11Invoice(
        currency=currency,
        created_at=bech32.number_of(content[:_TIME]),
        expiry=_number(fields, "x", _DEFAULT_EXPIRY),
        payee=payee,
        amount_msat=amount_msat,
        description=_text(fields["d"]) if "d" in fields else None,
        description_hash=in_hex.get("h"),
        min_final_cltv_expiry=_number(fields, "c", _DEFAULT_CLTV_EXPIRY),
        payment_secret=in_hex["s"],
        features=_bits(fields["9"]) if "9" in fields else None,
        routes=[_route(value) for name, value in found if name == "r"] or None,
        payment_hash=in_hex["p"],
        signature=der,
    )


def looks_like_one(string: str) -> bool:
    """Return whether a string starts like an invoice."""
    return bool(_PREFIX.fullmatch(string.rpartition("1")[0]))


def _amount(amount_msat: int) -> str:
    if amount_msat % _MSAT_PER_BTC == 0:
        return str(amount_msat // _MSAT_PER_BTC)
    # lightningd counts tenths of a millisatoshi in 64 bits, so amounts from 2**64/10 on overflow.
    amount = amount_msat * 10 % 2**64
    return next(f"{amount // size}{unit}" for unit, size in _UNITS.items() if unit and amount % size == 0)


def _read_prefix(prefix: str) -> tuple[str, int | None]:
    found = _PREFIX.fullmatch(prefix)
    if not found:
        raise ValueError(f"Unknown chain {prefix.removeprefix('ln')}")
    currency, digits, unit = found.groups()
    if digits is None:
        return currency, None
    if unit not in _UNITS:
        raise ValueError(f"Invalid amount postfix '{unit}'")
    amount_msat, rest = divmod(int(digits) * _UNITS[unit], 10)
    if rest:
        raise ValueError(f"Invalid sub-millisatoshi amount '{digits}p'")
    return currency, amount_msat


def _signed(prefix: str, letters: str) -> bytes:
    return prefix.encode() + bech32.bytes_of(letters, filled=True)


def _fields(letters: str) -> Iterator[tuple[str, str]]:
    """Yield the fields. Fields of a fixed size are skipped if they have another size."""
    while letters:
        name, size = letters[0], bech32.number_of(letters[1:3])
        if len(letters) < 3 + size:
            raise ValueError(f"{name}: truncated")
        value, letters = letters[3 : 3 + size], letters[3 + size :]
        if _SIZES.get(name, size) == size:
            yield name, value


def _checked(signature: bytes, message: bytes) -> tuple[str, str]:
    """Return the signer's public key, and the signature as DER."""
    try:
        recoverable = deserialize_recoverable(signature)
        payee = PublicKey.from_signature_and_message(signature, message)
        return payee.format().hex(), cdata_to_der(recoverable_convert(recoverable)).hex()
    except Exception:  # The library raises no specific class.
        raise ValueError("signature recovery failed") from None


def _number(fields: dict[str, str], name: str, default: int) -> int:
    letters = fields.get(name)
    if letters is None:
        return default
    if letters.startswith("q"):
        raise ValueError(f"{name}: not a minimal value")
    return bech32.number_of(letters)


def _text(letters: str) -> str:
    try:
        return bech32.bytes_of(letters).decode()
    except UnicodeDecodeError:
        raise ValueError("d: invalid utf8") from None


def _route(letters: str) -> list[Hop]:
    data, size = bech32.bytes_of(letters), _PUBKEY_BYTES + _HOP.size
    if len(data) % size:
        raise ValueError("r: hop truncated")
    return [Hop.decoded(data[start : start + size]) for start in range(0, len(data), size)]


def _bits(letters: str) -> str:
    return bech32.number_of(letters).to_bytes((len(letters) * 5 + 7) // 8).hex()
