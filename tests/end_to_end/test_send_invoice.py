"""Collecting from another node, end to end: REST, gRPC, simulated nodes and real ones."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from google.protobuf.duration_pb2 import Duration

from tests.support.clock import RunningClock
from tests.support.node_pair import pair_of_nodes
from tests.support.nodes import LIGHTNINGD, real_node
from tests.support.rpc import connected
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2
from till.v1 import invreq_service_pb2 as pb
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub


@dataclass(frozen=True)
class Refunds:
    """A Till on one node, and the socket of another node that offers refunds."""

    shop: Shop
    payer: Path

    async def of_payer(self, method: str, **params: Any) -> Any:
        async with connected(self.payer) as rpc:
            return await rpc.result(method, **params)

    async def request(self, amount: int = 7000, **more: Any) -> str:
        """Create an invoice request on the other node; return the string."""
        made = await self.of_payer("invoicerequest", amount=amount, description="a refund", **more)
        invreq: str = made["bolt12"]
        return invreq

    async def send(self, **body: Any) -> httpx.Response:
        """Send an invoice over REST."""
        return await self.shop.rest.post("/lightning/invoice/send", json=body, timeout=60)


@pytest.fixture(
    scope="module",
    params=[
        "simulated",
        pytest.param(
            "real",
            marks=[
                pytest.mark.lightningd,
                pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd"),
                pytest.mark.timeout(180),
            ],
        ),
    ],
)
async def refunds(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Refunds]:
    directory = tmp_path_factory.mktemp("nodes")
    settings = config(tmp_path_factory.mktemp("till"))
    if request.param == "simulated":
        async with pair_of_nodes(directory, RunningClock()) as pair:
            ours = settings.model_copy(update={"lightning_rpc": pair.rpc_file("b")})
            async with open_shop(ours) as shop:
                yield Refunds(shop, pair.rpc_file("a"))
    else:
        async with real_node(directory) as node:
            ours = settings.model_copy(update={"lightning_rpc": node.rpc_file})
            async with open_shop(ours) as shop:
                yield Refunds(shop, directory / "b" / "regtest" / "lightning-rpc")


async def test_an_invoice_is_sent_and_paid(refunds: Refunds) -> None:
    """The JSON is documented by lightningd; the invoice behaves like any other."""
    before = (await refunds.shop.rest.get("/lightning/info")).json()

    reply = await refunds.send(invreq=await refunds.request(), label="refund-1", metadata={"type": "shop"})

    sent = reply.json()
    assert reply.status_code == 200, reply.text
    assert (sent["label"], sent["status"], sent["description"]) == ("refund-1", "paid", "a refund")
    assert (sent["amount_msat"], sent["amount_received_msat"]) == (7000, 7000)
    assert sent["bolt12"].startswith("lni1")
    assert hashlib.sha256(bytes.fromhex(sent["payment_preimage"])).hexdigest() == sent["payment_hash"]
    numbers = ("pay_index", "paid_at", "expires_at", "created_index", "updated_index")
    assert all(type(sent[name]) is int for name in numbers)
    assert abs(sent["paid_at"] - time.time()) < 30
    path = f"/lightning/invoice/{sent['invoiceid']}"
    read = (await refunds.shop.rest.get(path)).json()
    assert (read["status"], read["payreq"], read["label"]) == ("paid", sent["bolt12"], "refund-1")
    assert (read["metadata"], read["msatoshi_received"]) == ({"type": "shop"}, 7000)
    assert await refunds.shop.outcome(sent) == read
    after = (await refunds.shop.rest.get("/lightning/info")).json()
    assert (after["invoices"], after["volume"]) == (before["invoices"] + 1, before["volume"] + 7000)


async def test_an_invoice_is_sent_once_over_grpc(refunds: Refunds) -> None:
    """A repeated request is sent once; `bolt11` is empty."""
    invreqs = InvreqServiceStub(refunds.shop.channel)
    request = pb.SendInvoiceRequest(
        invreq=await refunds.request(), label="grpc", amount_msat=6999, timeout=Duration(seconds=30)
    )

    first, again = [await invreqs.SendInvoice(request) for _ in range(2)]

    assert first == again
    invoice = first.invoice
    assert (invoice.status, invoice.amount_msat, invoice.bolt11) == (INVOICE_STATUS_PAID, 6999, "")
    assert invoice.bolt12.startswith("lni1")
    assert invoice.metadata == '{"type":"sendinvoice"}'
    assert hashlib.sha256(bytes.fromhex(first.payment_preimage)).hexdigest() == invoice.payment_hash
    lookup = invoice_service_pb2.LookupInvoiceRequest(label="grpc")
    assert (await refunds.shop.invoices.LookupInvoice(lookup)).invoice == invoice
    by_string = invoice_service_pb2.LookupInvoiceRequest(bolt11=invoice.bolt12)
    assert (await refunds.shop.invoices.LookupInvoice(by_string)).invoice == invoice


def damaged(invreq: str) -> str:
    """Return the invoice request with one character of its signature changed."""
    return invreq[:-20] + ("q" if invreq[-20] != "q" else "p") + invreq[-19:]


BAD = [
    ({"invreq": "lno1qqqq"}, "E1", "lnr1"),
    ({"invreq": "hello"}, "E1", "lnr1"),
    ({"invreq": "lnr1qqqq"}, "E1", "no valid signature"),
    ({"invreq": damaged}, "E1", "no valid signature"),
    ({"quantity": 1}, "E1", "quantity is not allowed"),
    ({"quantity": 0}, "E1", "quantity must be at least 1"),
    ({"amount_msat": 7001}, "E1", "at most 7000"),
    ({"amount_msat": 0}, "E1", "at least 1"),
    ({"amount_msat": 1.5}, "E1", "amount_msat must be"),
    ({"amount_msat": "a lot"}, "E1", "amount_msat must be"),
    ({"timeout": 0}, "E1", "timeout must be"),
    ({"timeout": 86400}, "E1", "5 minutes"),
    ({"timeout": 1.5}, "E1", "timeout must be"),
    ({"label": ""}, "E1", "label must have"),
    ({"label": "a\nb"}, "E1", "label must not have"),
    ({"label": 7}, "E1", "label must be a string"),
    ({"label": "y" * 129}, "E6", "128 bytes"),
    ({"metadata": {}}, "E1", "type"),
    ({"invrec": "x"}, "E1", "unknown field"),
    ({"invreq": "lnr1" + "q" * 9000}, "E6", "8192 bytes"),
]


@pytest.mark.parametrize(("fields", "code", "message"), BAD)
async def test_bad_input_is_refused_and_nothing_sent(
    fields: dict[str, Any], code: str, message: str, refunds: Refunds
) -> None:
    """The message states the fault; the label stays free, and the invoice request stays usable."""
    invreq = await refunds.request()
    label = f"bad-{json.dumps(fields, default=str)[:40]}"
    body = {"invreq": invreq, "label": label} | fields
    if callable(body["invreq"]):
        body["invreq"] = body["invreq"](invreq)

    reply = await refunds.send(**body)

    assert (reply.json()["error"], reply.status_code) == (code, {"E1": 400, "E6": 413}[code])
    assert message in reply.json()["message"]
    good = await refunds.send(invreq=invreq, label=label)
    assert good.json().get("status") == "paid", good.text


async def test_null_means_absent_and_a_whole_number_may_have_any_notation(refunds: Refunds) -> None:
    """The same rules apply to the other bodies; metadata is compared by value."""
    invreq = await refunds.request()
    first = {"timeout": 5e1, "amount_msat": None, "quantity": None, "metadata": None}
    again = {"amount_msat": None, "timeout": 60.0, "metadata": {"type": "sendinvoice"}}

    replies = [await refunds.send(invreq=invreq, label="whole", **fields) for fields in (first, again)]

    assert [reply.status_code for reply in replies] == [200, 200], replies[0].text + replies[1].text
    assert replies[1].content == replies[0].content


async def test_requests_that_cannot_be_collected(refunds: Refunds) -> None:
    """Each error has its code: expired, disabled, our own, label of another invoice, missing."""
    async with connected(refunds.shop.rpc_file) as rpc:
        own = await rpc.result("invoicerequest", amount=1000, description="to ourselves")
    expired = await refunds.request(absolute_expiry=int(time.time()) - 1)
    made = await refunds.of_payer("invoicerequest", amount=1000, description="never mind")
    await refunds.of_payer("disableinvoicerequest", invreq_id=made["invreq_id"])
    good = await refunds.request()
    created = await refunds.shop.create(label="created")

    replies = [
        await refunds.send(invreq=own["bolt12"], label="own"),
        await refunds.send(invreq=expired, label="expired"),
        await refunds.send(invreq=made["bolt12"], label="disabled"),
        await refunds.send(invreq=good, label=created["label"]),
        await refunds.send(label="no request"),
    ]

    told = [(each.status_code, each.json()["error"]) for each in replies]
    assert told == [(400, "E1"), (410, "E12"), (409, "E11"), (409, "E5"), (400, "E1")]
    assert "belongs to this node" in replies[0].json()["message"]


async def test_the_error_of_the_other_node_becomes_a_status(refunds: Refunds) -> None:
    """gRPC returns a status with the documented code."""
    made = await refunds.of_payer("invoicerequest", amount=1000, description="never mind")
    await refunds.of_payer("disableinvoicerequest", invreq_id=made["invreq_id"])
    invreqs = InvreqServiceStub(refunds.shop.channel)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await invreqs.SendInvoice(pb.SendInvoiceRequest(invreq=made["bolt12"], label="status"))

    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert dict(refused.value.trailing_metadata() or ())["x-error-code"] == "E11"


async def test_concurrent_sends_are_all_paid(refunds: Refunds) -> None:
    """Till paces the sends, so that the peer drops no message."""
    invreqs = [await refunds.request() for _ in range(8)]

    replies = await asyncio.gather(
        *(refunds.send(invreq=each, label=f"many-{number}") for number, each in enumerate(invreqs))
    )

    assert [each.json().get("status") for each in replies] == ["paid"] * 8


async def test_no_proof_of_payment_is_logged(refunds: Refunds, logged: Callable[[], str]) -> None:
    body = {"invreq": await refunds.request(), "label": "secret"}

    preimages = [(await refunds.send(**body)).json()["payment_preimage"] for _ in range(2)]

    assert preimages[0] == preimages[1]
    assert '"sending an invoice"' in logged()
    assert preimages[0] not in logged()
