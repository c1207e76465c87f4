"""Rules that the OpenAPI document states in prose only, for schemathesis."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Exclude null for an optional field, and a label that is also given as Idempotency-Key."""
    if not isinstance(case.body, dict):
        return True
    is_labelled_twice = "label" in case.body and "Idempotency-Key" in (case.headers or {})
    return not is_labelled_twice and None not in case.body.values()
