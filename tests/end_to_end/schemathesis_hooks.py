"""What the OpenAPI document says in words only, for schemathesis."""

import schemathesis


@schemathesis.hook
def filter_case(context, case):
    """Whole numbers are not written as 1.0, and the label not given twice."""
    if not isinstance(case.body, dict):
        return True
    is_labelled_twice = "label" in case.body and "Idempotency-Key" in (case.headers or {})
    return not is_labelled_twice and not any(isinstance(value, float) for value in case.body.values())
