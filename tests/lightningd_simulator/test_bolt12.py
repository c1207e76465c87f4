"""bolt12 strings: the simulated node and a real one read each other's."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator import Simulator
from lightningd_simulator.bolts import bolt11, bolt12
from lightningd_simulator.bolts.bolt12_messages import Bolt12Invoice, InvoiceRequest
from tests.support.nodes import LIGHTNINGD, real_node
from tests.support.rpc import Rpc, connected

PRIVATE_KEY = "11" * 32
NODE_ID = bolt11.node_id(PRIVATE_KEY)


def request(
    amount_msat: int = 1000,
    description: str | None = "d",
    issuer: str | None = None,
    absolute_expiry: int | None = None,
) -> InvoiceRequest:
    return InvoiceRequest.made(
        PRIVATE_KEY,
        amount_msat=amount_msat,
        description=description,
        issuer=issuer,
        absolute_expiry=absolute_expiry,
    )


def invoice(asked: InvoiceRequest, amount_msat: int = 1000, relative_expiry: int = 90) -> Bolt12Invoice:
    return Bolt12Invoice.made(
        "22" * 32,
        asked,
        amount_msat=amount_msat,
        payment_hash="33" * 32,
        created_at=1_795_217_785,
        relative_expiry=relative_expiry,
    )


@given(
    st.integers(0, 2**64 - 1),
    st.none() | st.text(max_size=400),
    st.none() | st.text(max_size=10),
    st.none() | st.integers(0, 2**64 - 1),
)
def test_a_request_is_read_as_it_was_written(
    amount_msat: int, description: str | None, issuer: str | None, absolute_expiry: int | None
) -> None:
    """Every field is read unchanged, and the request is signed by the node that pays."""
    made = request(amount_msat, description, issuer, absolute_expiry)

    shown = InvoiceRequest.payable(made.string).shown()

    assert shown["invreq_amount_msat"] == amount_msat
    assert shown.get("offer_description") == description
    assert shown.get("offer_issuer") == issuer
    assert shown.get("offer_absolute_expiry") == absolute_expiry
    assert shown["invreq_payer_id"] == NODE_ID
    assert shown["valid"]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_an_invoice_has_the_invreq_id_of_its_request(amount_msat: int, relative_expiry: int) -> None:
    asked = request()

    answer = Bolt12Invoice.read(invoice(asked, amount_msat, relative_expiry).string)

    assert answer.invreq_id == asked.id
    assert answer.amount_msat == amount_msat
    assert answer.shown()["invoice_relative_expiry"] == relative_expiry
    assert answer.node_id == bolt11.node_id("22" * 32)


def test_no_two_requests_are_the_same() -> None:
    assert request().id != request().id


@pytest.mark.parametrize("at", [20, 100, -1])
def test_a_changed_letter_is_noticed(at: int) -> None:
    """The invoice is rejected, and the request is not valid."""
    asked = request()
    for string, read in ((asked.string, InvoiceRequest.payable), (invoice(asked).string, Bolt12Invoice.read)):
        at_ = at % len(string)
        changed = string[:at_] + ("q" if string[at_] != "q" else "p") + string[at_ + 1 :]

        with pytest.raises(ValueError, match=r"Invalid signature|invalid inv\w+ data|invalid bech32"):
            read(changed)


@pytest.mark.parametrize(
    "string",
    ["", "lnr", "lnr1b", "lnr1q", "lnr1QQ", "lnr1qqgq", "lnr1qqgqqqqsqqgp", "1", "lnr1qq+", "lni1qq"],
)
def test_malformed_strings_are_refused(string: str) -> None:
    with pytest.raises(ValueError, match=r"invalid|Missing|unexpected"):
        InvoiceRequest.payable(string)


@given(st.binary(max_size=100))
def test_random_bytes_are_refused(data: bytes) -> None:
    """All bytes are either read, or rejected with a ValueError."""
    string = f"lnr1{bolt12.write('', {0: data})[3:]}"
    for read in (InvoiceRequest.payable, Bolt12Invoice.read):
        with pytest.raises(ValueError, match=r"\w"):
            read(string)


def test_pieces_are_joined() -> None:
    """BOLT 12 allows a string to be split with + and white space."""
    whole = request().string

    assert InvoiceRequest.read(f"{whole[:30]}+{whole[30:60]}+  {whole[60:]}").string == whole


@pytest.mark.lightningd
@pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd")
@pytest.mark.timeout(180)
async def test_a_real_node_reads_the_same(tmp_path: Path, node: Simulator, rpc: Rpc) -> None:
    """Requests and invoices of each node are decoded by the other with the same result."""
    asked = {"amount": "0.00000000001btc", "description": "ein Kaffee ☕", "issuer": "Till"}
    async with real_node(tmp_path) as real, connected(real.rpc_file) as real_rpc:
        made = [await each.result("invoicerequest", **asked) for each in (rpc, real_rpc)]
        sent = [
            await each.result("sendinvoice", invreq=request["bolt12"], label="own")
            for each, request in zip((rpc, real_rpc), made, strict=True)
        ]
        for each in made + sent:
            shown: list[Any] = await asyncio.gather(
                *(node.result("decode", string=each["bolt12"]) for node in (rpc, real_rpc))
            )
            assert list(shown[0].items()) == list(shown[1].items())
            assert shown[0]["valid"]
