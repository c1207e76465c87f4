"""The documented JSON of an invoice."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.json_values import json_values
from tests.support.samples import an_invoice
from tilld.invoices.invoice import Payment, Status
from tilld.rest_api.schemas import invoice_json

amounts = st.integers(1, 2_100_000_000_000_000_000)
times = st.datetimes(datetime(2009, 1, 3), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - the zone is added below
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)
texts = st.none() | st.text(st.characters(codec="utf-8"), min_size=1)

preimages = st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(
    amount_msat=st.none() | amounts,
    metadata=st.dictionaries(st.text(), json_values),
    description=texts,
    label=texts,
    created_at=times,
    payment=st.none() | st.builds(Payment, st.integers(1, 2**62), amounts, times, preimages),
)
def test_the_json_of_an_invoice_is_complete(
    amount_msat: int | None,
    metadata: dict[str, Any],
    description: str,
    label: str,
    created_at: datetime,
    payment: Payment | None,
) -> None:
    """The JSON is valid, on one line, complete, and has the documented names in their order."""
    invoice = an_invoice()._replace(
        amount_msat=amount_msat,
        metadata=json.dumps(metadata),
        description=description,
        label=label,
        created_at=created_at,
        status=Status.PAID if payment else Status.UNPAID,
        payment=payment,
    )

    text = invoice_json.invoice(invoice).decode()
    told = json.loads(text)

    assert "\n" not in text
    assert list(told)[:10] == [
        "status", "_id", "metadata", "expires_at", "created_at", "msatoshi", "invoiceid", "rhash", "payreq",
        "username",
    ]  # fmt: skip
    assert told["msatoshi"] == amount_msat
    assert told["metadata"] == metadata
    assert f'"metadata":{json.dumps(metadata)},"expires_at"' in text
    assert datetime.fromisoformat(told["created_at"]) == created_at
    assert told.get("description") == description
    assert told.get("label") == label
    beyond = {"paid_at", "msatoshi_received", "pay_index", "preimage"} & told.keys()
    if payment:
        assert told["status"] == "paid"
        assert datetime.fromisoformat(told["paid_at"]) == payment.paid_at
        assert (told["msatoshi_received"], told["pay_index"]) == (
            payment.amount_received_msat,
            payment.pay_index,
        )
        assert told.get("preimage") == payment.payment_preimage
    else:
        assert (told["status"], beyond) == ("unpaid", set())
