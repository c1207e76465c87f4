"""Which invoice request a BOLT 12 string is of: an invoice repeats what its request's id is made of. Pure."""

from hashlib import sha256

from tilld.formats import bech32

# An invoice that a node has paid fits into one onion message.
MAX_CHARACTERS = 128 * 1024

# The fields of an invoice_request but its signature, and those that anybody may add to one.
_OF_REQUEST = (range(160), range(1_000_000_000, 3_000_000_000))


def invreq_id(text: str) -> str:
    """The id of an invoice request ("lnr1…"), or of that which an invoice ("lni1…") answers.

    Neither signature nor order is looked at: nodes do so. Raises ValueError for what is neither.
    """
    prefix, _, data = text.partition("1")
    if prefix not in ("lnr", "lni") or len(text) > MAX_CHARACTERS:
        raise ValueError("neither an invoice request nor an invoice")
    records = bech32.records(bech32.octets(data))
    return sha256(
        b"".join(each.raw for each in records if any(each.kind in part for part in _OF_REQUEST))
    ).hexdigest()
