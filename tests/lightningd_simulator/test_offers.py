"""Invoice requests between two simulated nodes: payments, refusals, restarts and message limits."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_simulator import NodeAborted, Simulator
from lightningd_simulator.peers import MessageLimit
from tests.support.clock import Clock
from tests.support.node_pair import Pair, pair_of_nodes
from tests.support.nodes import LIGHTNINGD, real_node
from tests.support.rpc import Rpc, connected


@pytest.fixture
async def pair(tmp_path: Path, clock: Clock) -> AsyncIterator[Pair]:
    async with pair_of_nodes(tmp_path, clock) as both:
        yield both


@pytest.fixture(
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
    ]
)
async def sockets(request: Any, tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Path, Path]]:
    """Yield the sockets of two nodes that can pay each other, simulated or real."""
    if request.param == "simulated":
        async with pair_of_nodes(tmp_path, clock) as pair:
            yield pair.rpc_file("a"), pair.rpc_file("b")
    else:
        async with real_node(tmp_path) as node:
            yield node.rpc_file, tmp_path / "b" / "regtest" / "lightning-rpc"


async def ask(rpc: Rpc, amount: Any = 1000, **more: object) -> Any:
    return await rpc.result("invoicerequest", amount=amount, description="d", **more)


async def paid_of(rpc: Rpc, request: Any) -> Any:
    """Wait until all payments of a node are done, and return the listed request."""
    counts = {
        index: (await rpc.result("wait", subsystem="sendpays", indexname=index, nextvalue=0))[index]
        for index in ("created", "updated")
    }
    await rpc.result("wait", subsystem="sendpays", indexname="updated", nextvalue=counts["created"])
    [listed] = (await rpc.result("listinvoicerequests", invreq_id=request["invreq_id"]))["invoicerequests"]
    return listed


async def test_the_first_invoice_is_paid_and_the_next_refused(sockets: tuple[Path, Path]) -> None:
    """Both nodes list the payment of a single-use request; a rejected invoice stays unpaid."""
    async with connected(sockets[0]) as a, connected(sockets[1]) as b:
        request = await ask(a, label="for b")

        paid = await b.result("sendinvoice", invreq=request["bolt12"], label="one")
        listed = await paid_of(a, request)
        refused = await b.call("sendinvoice", {"invreq": request["bolt12"], "label": "two"})
        again = await b.call("sendinvoice", {"invreq": request["bolt12"], "label": "two"})

        assert (paid["status"], paid["amount_received_msat"]) == ("paid", 1000)
        assert (listed["used"], listed["active"]) == (True, False)
        [payment] = (await a.result("listpays", bolt11=paid["bolt12"]))["pays"]
        assert (payment["status"], payment["preimage"]) == ("complete", paid["payment_preimage"])
        assert refused["error"]["code"] == 1004
        assert refused["error"]["data"]["error"].endswith(": invoice_request no longer available")
        [left] = (await b.result("listinvoices", label="two"))["invoices"]
        assert left["status"] == "unpaid"
        assert (again["error"]["code"], again["error"]["data"]["label"]) == (900, "two")


async def test_a_node_answers_its_own_request(sockets: tuple[Path, Path]) -> None:
    """The node pays itself."""
    async with connected(sockets[0]) as a:
        request = await ask(a, "2sat")

        paid = await a.result("sendinvoice", invreq=request["bolt12"], label="own")

        assert paid["amount_received_msat"] == 2000
        assert (await paid_of(a, request))["used"]
        [payment] = (await a.result("listpays", bolt11=paid["bolt12"]))["pays"]
        assert payment["destination"] == (await a.result("getinfo"))["id"]


async def test_of_many_concurrent_invoices_one_is_paid(pair: Pair) -> None:
    """While a payment is in flight, other invoices for the request are rejected."""
    async with connected(pair.rpc_file("a")) as a, connected(pair.rpc_file("b")) as b:
        request = await ask(a)

        sent = [b.send("sendinvoice", {"invreq": request["bolt12"], "label": f"{n}"}) for n in range(5)]
        replies = [await b.reply_to(number) for number in sent]

        assert sorted("result" in reply for reply in replies) == [False] * 4 + [True]
        assert len((await a.result("listpays"))["pays"]) == 1


async def test_a_payment_continues_when_its_sender_disconnects(pair: Pair) -> None:
    """A payment in flight arrives, and a paid invoice is not paid again."""
    async with connected(pair.rpc_file("a")) as a, connected(pair.rpc_file("b")) as b:
        request = await ask(a, single_use=False)
        pair.ways["a"].hold("dev-onionmessage")
        sending = await b.start("sendinvoice", invreq=request["bolt12"], label="x")
        await pair.ways["a"].waiting.acquire()
        [invoice] = (await b.result("listinvoices"))["invoices"]
        message = {"sender": (await b.result("getinfo"))["id"], "invoice": invoice["bolt12"]}
        pair.ways["b"].hold("dev-htlc")
        async with connected(pair.rpc_file("a")) as gone:
            await gone.start("dev-onionmessage", **message)
            await pair.ways["b"].waiting.acquire()
        assert (await a.result("listpays"))["pays"][0]["status"] == "pending"

        pair.ways["b"].release()

        assert (await b.reply_to(sending))["result"]["status"] == "paid"
        assert (await paid_of(a, request))["used"]
        assert "Already paid" in (await a.result("dev-onionmessage", **message))["invoice_error"]
        assert len((await a.result("listpays"))["pays"]) == 1


@pytest.mark.parametrize("amount", ["22000000btc", 2**64 - 1])
async def test_an_amount_above_all_bitcoin_is_refused(amount: Any, pair: Pair) -> None:
    """The large invoice is rejected, and a smaller one is paid."""
    async with connected(pair.rpc_file("a")) as a, connected(pair.rpc_file("b")) as b:
        request = await ask(a, amount)

        refused = await b.call("sendinvoice", {"invreq": request["bolt12"], "label": "all"})
        paid = await b.result("sendinvoice", invreq=request["bolt12"], label="some", amount_msat=7)

        assert "We could not find a usable set of paths." in refused["error"]["data"]["error"]
        assert paid["amount_received_msat"] == 7


async def test_a_requester_without_a_way_to_the_receiver_refuses(tmp_path: Path) -> None:
    """Messages need one direction only; payments need a route back."""
    async with (
        Simulator(tmp_path / "a") as requester,
        Simulator(tmp_path / "b", peers=[requester.rpc_file]) as receiver,
        connected(requester.rpc_file) as a,
        connected(receiver.rpc_file) as b,
    ):
        request = await ask(a)

        refused = await b.call("sendinvoice", {"invreq": request["bolt12"], "label": "x"})

        assert "We could not find a usable set of paths." in refused["error"]["data"]["error"]
        assert await a.result("listpays") == {"pays": []}


async def test_an_unknown_requester_is_unreachable(rpc: Rpc, tmp_path: Path) -> None:
    """The invoice is still created, and stays unpaid."""
    async with Simulator(tmp_path / "stranger") as node, connected(node.rpc_file) as stranger:
        request = await ask(stranger)

    refused = await rpc.call("sendinvoice", {"invreq": request["bolt12"], "label": "x"})

    assert refused["error"]["code"] == 1003
    assert (await rpc.result("listinvoices", label="x"))["invoices"][0]["status"] == "unpaid"


async def test_an_ordinary_invoice_is_not_paid_this_way(rpc: Rpc) -> None:
    """Only xpay pays an ordinary invoice."""
    made = await rpc.result("invoice", amount_msat=1, label="x", description="d")

    reply = await rpc.call("dev-htlc", {"payment_hash": made["payment_hash"], "amount_msat": 1})

    assert reply["error"]["code"] == 203


async def test_requests_and_payments_outlive_a_restart(tmp_path: Path, clock: Clock) -> None:
    """All lists and counters are unchanged, and continue from there."""
    calls: list[tuple[str, dict[str, Any]]] = [
        *((command, {}) for command in ("listinvoicerequests", "listpays", "listsendpays", "listinvoices")),
        ("wait", {"subsystem": "sendpays", "indexname": "updated", "nextvalue": 0}),
    ]
    rpc_file, state = tmp_path / "rpc", tmp_path / "state"
    async with Simulator(rpc_file, state, clock), connected(rpc_file) as rpc:
        single, many, disabled = [await ask(rpc, single_use=single) for single in (True, False, True)]
        for number, request in enumerate((single, many, many)):
            await rpc.result("sendinvoice", invreq=request["bolt12"], label=f"{number}")
        await rpc.result("disableinvoicerequest", invreq_id=disabled["invreq_id"])
        before = [await rpc.call(*call) for call in calls]

    async with Simulator(rpc_file, state, clock), connected(rpc_file) as rpc:
        after = [await rpc.call(*call) for call in calls]
        assert [reply["result"] for reply in after] == [reply["result"] for reply in before]
        refused = await rpc.call("sendinvoice", {"invreq": single["bolt12"], "label": "again"})
        assert refused["error"]["code"] == 1004
        await rpc.result("sendinvoice", invreq=many["bolt12"], label="3")
        assert len((await rpc.result("listpays", index="updated", start=4))["pays"]) == 1


async def test_disabling_a_request_in_flight_crashes_the_node(pair: Pair) -> None:
    """A real node also crashes when the payment arrives, and again after each restart."""
    async with connected(pair.rpc_file("a")) as a, connected(pair.rpc_file("b")) as b:
        request = await ask(a)
        pair.ways["b"].hold("dev-htlc")
        sending = await b.start("sendinvoice", invreq=request["bolt12"], label="x")
        await pair.ways["b"].waiting.acquire()
        await a.result("disableinvoicerequest", invreq_id=request["invreq_id"])

        pair.ways["b"].release()

        assert (await b.reply_to(sending))["result"]["status"] == "paid"
    for _ in range(2):
        with pytest.raises(NodeAborted, match="ended with a payment on its way"):
            await pair.nodes["a"].ended()
        await pair.kill("a")
        await pair.start("a")


def test_messages_are_limited(clock: Clock) -> None:
    """Each peer has a burst of four messages and four a second; idle time saves up at most four."""
    limit = MessageLimit(clock)

    def passing(peer: str, sent: int) -> int:
        return sum(limit.lets_pass(peer) for _ in range(sent))

    assert (passing("b", 9), passing("c", 9)) == (4, 4)
    clock.now += 0.25
    assert passing("b", 9) == 1
    clock.now += 3600
    assert passing("b", 9) == 4


async def test_a_message_above_the_limit_is_dropped(tmp_path: Path, clock: Clock) -> None:
    """The sender gets no error and times out; a later message is delivered."""
    async with pair_of_nodes(tmp_path, clock, MessageLimit(clock)) as pair:
        async with connected(pair.rpc_file("a")) as a, connected(pair.rpc_file("b")) as b:
            requests = [await ask(a) for _ in range(6)]
            for number, request in enumerate(requests[:4]):
                await b.result("sendinvoice", invreq=request["bolt12"], label=f"{number}")

            dropped = await b.call(
                "sendinvoice", {"invreq": requests[4]["bolt12"], "label": "4", "timeout": 1}
            )
            clock.now += 0.25
            paid = await b.result("sendinvoice", invreq=requests[5]["bolt12"], label="5")

            assert dropped["error"]["code"] == 1005
            assert paid["status"] == "paid"


async def test_an_error_message_above_the_limit_is_dropped(tmp_path: Path, clock: Clock) -> None:
    """An error is a message too: it counts towards the limit of its node."""
    async with pair_of_nodes(tmp_path, clock, MessageLimit(clock)) as pair:
        async with connected(pair.rpc_file("a")) as a, connected(pair.rpc_file("b")) as b:
            for number in range(4):
                await a.result("sendinvoice", invreq=(await ask(b))["bolt12"], label=f"{number}")
            request = await ask(a)
            await a.result("disableinvoicerequest", invreq_id=request["invreq_id"])

            refused = await b.call("sendinvoice", {"invreq": request["bolt12"], "label": "x", "timeout": 1})

            assert refused["error"]["code"] == 1005


@contextlib.asynccontextmanager
async def process(directory: Path, name: str, other: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tilld.cli", "node", "simulate", f"--rpc-file={directory / name}"),
        *(f"--state={directory / name}.jsonl", f"--peer={directory / other}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert running.stdout
    try:
        assert await running.stdout.readline()
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


@pytest.mark.parametrize("killed", ["requester", "receiver"])
async def test_after_a_kill_both_nodes_agree(killed: str, tmp_path: Path) -> None:
    """A node killed during payments: afterwards both nodes have each payment, or neither has."""
    answered = list[str]()

    async def collect(worker: int, victim: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with connected(tmp_path / "a") as a, connected(tmp_path / "b") as b:
                for number in range(1000):
                    request = await ask(a)
                    params = {"invreq": request["bolt12"], "label": f"{worker}-{number}", "timeout": 1}
                    reply = await b.call("sendinvoice", params)
                    answered.append(reply["result"]["payment_hash"] if "result" in reply else "")
                    if len(answered) == 20:
                        # The other workers have calls in flight.
                        victim.kill()

    async with process(tmp_path, "a", "b") as a, process(tmp_path, "b", "a") as b:
        victim = a if killed == "requester" else b
        await asyncio.gather(*(collect(worker, victim) for worker in range(4)))
        name, other = ("a", "b") if killed == "requester" else ("b", "a")
        async with process(tmp_path, name, other), connected(tmp_path / "a") as rpc:
            counts = [
                (await rpc.result("wait", subsystem="sendpays", indexname=index, nextvalue=0))[index]
                for index in ("created", "updated")
            ]
            await rpc.result("wait", subsystem="sendpays", indexname="updated", nextvalue=counts[0])
            pays = (await rpc.result("listpays", status="complete"))["pays"]
            requests = (await rpc.result("listinvoicerequests"))["invoicerequests"]
            async with connected(tmp_path / "b") as receiver:
                invoices = (await receiver.result("listinvoices"))["invoices"]

    sent = {pay["payment_hash"] for pay in pays}
    assert sent == {invoice["payment_hash"] for invoice in invoices if invoice["status"] == "paid"}
    assert {payment_hash for payment_hash in answered if payment_hash} <= sent
    assert len(sent) == sum(request["used"] for request in requests)
    assert sent
