"""Rules that the OpenAPI document states in prose only, for schemathesis."""

from typing import Any

import schemathesis

MAX_QUERY_CHARACTERS = 1000
LONG_WAITS = frozenset(map(str, range(1, 61)))


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Exclude requests that a rule in prose forbids.

    Excluded are null for an optional field, and a label that is also given as Idempotency-Key.
    Excluded too are channels that the node does not have, a hash without a description, and long waits. The
    URL of an invoice's webhook must be public.
    Rejecting a long URL breaks the connection of a client that has not sent all.
    """
    query = case.query or {}
    if str(query.get("wait")) in LONG_WAITS or len(str(query.get("metadata_type"))) > MAX_QUERY_CHARACTERS:
        return False
    if not isinstance(case.body, dict):
        return True
    is_labelled_twice = "label" in case.body and "Idempotency-Key" in (case.headers or {})
    has_channels = isinstance(case.body.get("expose_private_channels"), list)
    is_empty_hash = case.body.get("description_hash_only") is True and not case.body.get("description")
    is_forbidden = is_labelled_twice or has_channels or is_empty_hash or "webhook" in case.body
    return not is_forbidden and None not in case.body.values()
