"""Payment requests: signed with the node's key as lightningd does it, and read again."""

import re
from hashlib import sha256

import bolt11
from bitstring import Bits
from bolt11 import Bolt11, Features, TagChar, Tags
from coincurve import PrivateKey
from coincurve.ecdsa import cdata_to_der, deserialize_recoverable, recoverable_convert

from lightningd_simulator.rpc.answers import NodeAborted

CURRENCY = "bcrt"
FEATURES = "02024100"
FINAL_CLTV_EXPIRY = 10

_MSAT_PER_BTC = 10**11
# Five-bit groups, the first one not zero.
_FEATURE_BITS = Features.from_bitstring(Bits(hex=FEATURES)[2:])
_PREFIX = re.compile(r"ln(?:bcrt|bc|tbs|tb)(\d+[munp]?)?")


def new_private_key() -> str:
    """Make a node's private key, in hex."""
    return PrivateKey().to_hex()


def node_id(private_key: str) -> str:
    """Tell the public key of a private one, in hex."""
    return PrivateKey.from_hex(private_key).public_key.format().hex()


def payment_secret(payment_preimage: str) -> str:
    """Derive the payment secret as lightningd does, so that it need not be kept."""
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
) -> str:
    """Write and sign an invoice.

    Raises NodeAborted for an expiry that the real node dies of.
    """
    if expiry >= 2**60:
        raise NodeAborted("an expiry of 2**60 seconds or more")
    tags = Tags()
    tags.add(TagChar.payment_secret, payment_secret(payment_preimage))
    tags.add(TagChar.payment_hash, sha256(bytes.fromhex(payment_preimage)).hexdigest())
    if hash_only:
        tags.add(TagChar.description_hash, sha256(description.encode()).hexdigest())
    else:
        tags.add(TagChar.description, description)
    # The library writes 0 as a field without content, which nobody can read.
    if expiry != 3600:
        tags.add(TagChar.expire_time, max(expiry, 1))
    tags.add(TagChar.min_final_cltv_expiry, max(cltv % 2**16, 1))
    tags.add(TagChar.features, _FEATURE_BITS)
    # The amount goes in with the currency: the library's own way loses three digits from 1000 BTC on.
    prefix = CURRENCY + (_amount(amount_msat) if amount_msat else "")
    return bolt11.encode(Bolt11(currency=prefix, date=created_at, tags=tags), private_key)


def read(invoice: str) -> Bolt11:
    """Read an invoice, in lower case, of any network.

    Raises ValueError with lightningd's words.
    """
    try:
        found = bolt11.decode(invoice)
    except Exception:  # the library has many, and not all are its own
        raise ValueError("Bad bech32 string") from None
    prefix = _PREFIX.fullmatch(invoice.rpartition("1")[0])
    if prefix and (amount := prefix[1]) and re.fullmatch(r"\d*[1-9]p", amount):
        raise ValueError(f"Invalid sub-millisatoshi amount '{amount}'")
    return found


def looks_like_one(string: str) -> bool:
    """Tell whether a string begins like an invoice."""
    return bool(_PREFIX.fullmatch(string.rpartition("1")[0]))


def der_signature(invoice: Bolt11) -> str:
    """Write the signature of an invoice as lightningd shows it, in hex."""
    if not invoice.signature:
        raise ValueError("not signed")
    recoverable = deserialize_recoverable(invoice.signature.signature_data)
    return bytes(cdata_to_der(recoverable_convert(recoverable))).hex()


def _amount(amount_msat: int) -> str:
    if amount_msat % _MSAT_PER_BTC == 0:
        return str(amount_msat // _MSAT_PER_BTC)
    # lightningd counts tenths of a millisatoshi in 64 bits, so amounts from 2**64/10 on wrap.
    amount = amount_msat * 10 % 2**64
    units = {"m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
    return next(f"{amount // size}{unit}" for unit, size in units.items() if amount % size == 0)
