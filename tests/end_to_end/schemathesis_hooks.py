"""What the OpenAPI document says in words only, for schemathesis."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Null for an optional field is the same as omitting it, and the label is not given twice."""
    if not isinstance(case.body, dict):
        return True
    is_labelled_twice = "label" in case.body and "Idempotency-Key" in (case.headers or {})
    return not is_labelled_twice and None not in case.body.values()
