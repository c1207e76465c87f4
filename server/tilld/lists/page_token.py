"""Page tokens: signed positions in a list, bound to the user, the type, the filter and the order."""

import hashlib

import msgspec
from itsdangerous import BadSignature, URLSafeSerializer

from tilld.auth.caller import Caller
from tilld.errors import InvalidRequest
from tilld.lists.terms import ListTerms, Position


def page_token(secret: bytes, caller: Caller, terms: ListTerms, position: Position) -> str:
    """Return the token of the page beyond a position, which is safe in URLs."""
    return _serializer(secret, caller, terms).dumps(position)


def position_in(secret: bytes, caller: Caller, terms: ListTerms) -> Position | None:
    """Return the position in the request's page token, or None without a token.

    Raises InvalidRequest if the token is not of this list.
    """
    if not terms.page_token:
        return None
    try:
        return tuple(_serializer(secret, caller, terms).loads(terms.page_token))
    except BadSignature:
        raise InvalidRequest(
            f"{terms.page_name} is not of this list; repeat its filter and order, or omit {terms.page_name}"
        ) from None


def _serializer(secret: bytes, caller: Caller, terms: ListTerms) -> URLSafeSerializer:
    facts = msgspec.json.encode((caller.username, caller.type, terms.order, terms.filter), order="sorted")
    signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt=b"page token" + facts, signer_kwargs=signing)
