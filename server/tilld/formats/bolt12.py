"""The id of a BOLT 12 invoice request, also from an invoice, which repeats the request's fields. Pure."""

from hashlib import sha256

from tilld.formats import bech32

# A paid invoice fits into one onion message.
MAX_CHARACTERS = 128 * 1024

# The types of an invoice_request's fields except its signature, and of experimental fields (BOLT 12).
_OF_REQUEST = (range(160), range(1_000_000_000, 3_000_000_000))


def invreq_id(text: str) -> str:
    """Return the id of an invoice request ("lnr1…"), or of the request that an invoice ("lni1…") answers.

    Nodes check the signature and the order of fields. Raises ValueError for other strings.
    """
    prefix, _, data = text.partition("1")
    if prefix not in ("lnr", "lni") or len(text) > MAX_CHARACTERS:
        raise ValueError("neither an invoice request nor an invoice")
    records = bech32.records(bech32.octets(data))
    return sha256(
        b"".join(each.raw for each in records if any(each.kind in part for part in _OF_REQUEST))
    ).hexdigest()
