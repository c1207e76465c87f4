"""Payment requests, compared with the simulated node, which reads all of BOLT 11."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator.bolts import bolt11
from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice, InvoiceRequest
from lightningd_simulator.channels import USUAL
from tests.support.samples import a_bolt11, an_order
from tilld.formats.bolt11 import PaymentRequest, pasted, read

KEY = "11" * 32

# Examples of BOLT 11: a donation, a cup of coffee, a hashed description with routes and a fallback.
EXAMPLES = [
    "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql",
    "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh",
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_specification(text: str) -> None:
    found = bolt11.read(text)

    assert read(text) == PaymentRequest(
        found.payment_hash, found.expiry, found.description, found.description_hash
    )


@given(
    amount_msat=st.none() | st.integers(1, 10**12),
    description=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=700),
    expiry=st.integers(1, 365 * 86400),
)
def test_an_issued_invoice_is_read_as_the_node_reads_it(
    amount_msat: int | None, description: str, expiry: int
) -> None:
    """A description longer than 639 bytes appears as its hash."""
    text = a_bolt11(an_order(amount_msat=amount_msat, description=description, expiry=expiry))
    found = bolt11.read(text)

    request = read(text)

    assert request == PaymentRequest(found.payment_hash, expiry, found.description, found.description_hash)
    assert request.describes(description)
    assert not request.describes(description + "x")


@pytest.mark.parametrize("text", ["", "ln", "lnbc1", "lni1qqgy4sht97d8qess", "lnbc1b", "x" * 5000, "é1qqq"])
def test_an_invalid_payment_request_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="payment request|bech32|cut off"):
        read(text)


@given(st.text(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"), max_size=400))
def test_a_random_payment_request_raises_only_value_errors(data: str) -> None:
    with suppress(ValueError):
        read(f"lnbc1{data}")


@given(
    description=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    expiry=st.integers(1, 10**6),
)
def test_a_bolt12_invoice_is_read_as_its_node_wrote_it(description: str | None, expiry: int) -> None:
    """A BOLT 12 invoice omits the default expiry."""
    request = InvoiceRequest.made(
        KEY, amount_msat=1000, description=description, issuer=None, absolute_expiry=None
    )
    made = Bolt12Invoice.made(
        KEY, request, amount_msat=1000, payment_hash="ab" * 32, created_at=1, relative_expiry=expiry
    )

    assert read(made.string) == PaymentRequest("ab" * 32, expiry, description, None)


@given(st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", max_size=400))
def test_a_random_bolt12_invoice_raises_only_value_errors(data: str) -> None:
    with suppress(ValueError):
        read(f"lni1{data}")


@pytest.mark.parametrize(
    "text",
    [
        "lnbc1x",
        "  LNBC1X\r\n",
        "\ufefflnbc1x",
        " \u200blnbc1x",
        "lightning:lnbc1x",
        "LIGHTNING:LNBC1X",
        "lightning://lnbc1x",
        "lightning: lnbc1x",
        "bitcoin:bc1qxy?amount=0.00001&lightning=LNBC1X",
        "BITCOIN:BC1QXY?LIGHTNING=LNBC1X",
        "bitcoin:?lightning=lnbc1x&label=a%20b",
        "lnb+c1+\n  x",
    ],
)
def test_a_string_is_read_as_people_paste_it(text: str) -> None:
    assert pasted(text) == "lnbc1x"


@pytest.mark.parametrize(
    "text", ["bitcoin:bc1qxy", "bitcoin:bc1qxy?lightning=", "", "lightning:", "bitcoin:[?"]
)
def test_text_without_a_payment_string_is_empty(text: str) -> None:
    assert pasted(text) == ""


def test_a_payment_request_with_many_hints_is_readable() -> None:
    """lightningd names as many channels as the amount needs, without a limit of its own."""
    text = bolt11.sign(
        KEY,
        created_at=0,
        payment_preimage="ab" * 32,
        amount_msat=1,
        description="x" * 639,
        hash_only=False,
        expiry=60,
        cltv=10,
        hints=[USUAL[1].hop] * 150,
    )

    assert read(text).description == "x" * 639
