"""The simulated node replies like a real lightningd, exchange by exchange."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lightningd_simulator import Simulator
from lightningd_simulator.channels import Channel
from tests.support.clock import Clock
from tests.support.replay import Exchange, Replay, Target, recorded
from tests.support.rpc import Params, Reply, connected

Act = Callable[[Replay, Exchange], Awaitable[None]]

# Exchanges that are not simulated or cannot be awaited; the reason names the test that covers them.
OMITTED = {
    ("invoice", "expiry 1152921504606846976"): "the node dies: test_behaviour",
    ("invoice", "expiry 18446744073709551615"): "the node dies: test_behaviour",
    ("invoice", "expiry -1"): "the node dies: test_behaviour",
    ("waitanyinvoice", "timeout 1"): "takes a second; the next one does the same",
    ("waitanyinvoice", "an expiry does not wake it"): "takes 4 seconds: test_behaviour",
    ("expiry", "autoclean-status"): "no plugins",
    ("expiry", "autoclean-once"): "no plugins",
    ("expiry", "autoclean-status after"): "no plugins",
    ("expiry", "are they gone"): "after autoclean",
    ("protocol", "a blocking request, then a quick one, one connection"): "takes 2 seconds: test_protocol",
    ("protocol", "request, then end of input"): "a race: the answer or the end comes first",
    ("payments", "more than the channel holds"): "no channels",
    ("payments", "underpaid 9999: sendpay"): "no routes",
    ("payments", "underpaid 9999: waitsendpay"): "no routes",
    ("payments", "underpaid 9999: the merchant's invoice"): "no routes",
    ("payments", "overpaid 15000: sendpay"): "no routes",
    ("payments", "overpaid 15000: waitsendpay"): "no routes",
    ("payments", "overpaid 15000: the merchant's invoice"): "no routes",
}


def create(label: str, amount_msat: Any = 1000, *, known_by: str | None = None, **more: Any) -> Act:
    """Create an invoice; `known_by` is the parameter by which the exchange names it."""

    async def act(replay: Replay, exchange: Exchange) -> None:
        params = {"amount_msat": amount_msat, "label": label, "description": "d", **more}
        reply = await replay.call("invoice", params)
        if known_by:
            replay.known[exchange.params[known_by]] = reply["result"]["bolt11"]

    return act


def pay(label: str, **more: Any) -> Act:
    async def act(replay: Replay, exchange: Exchange) -> None:
        [invoice] = (await replay.call("listinvoices", {"label": label}))["result"]["invoices"]
        reply = await replay.target.pay("xpay", {"invstring": invoice["bolt11"], **more})
        assert "result" in reply, reply

    return act


def delete(label: str, status: str, **more: Any) -> Act:
    async def act(replay: Replay, exchange: Exchange) -> None:
        reply = await replay.call("delinvoice", {"label": label, "status": status, **more})
        assert "result" in reply, reply

    return act


async def learn_its_id(replay: Replay, exchange: Exchange) -> None:
    replay.known[exchange.params["destination"]] = (await replay.call("getinfo", {}))["result"]["id"]


def pass_time(seconds: float) -> Act:
    async def act(replay: Replay, exchange: Exchange) -> None:
        await replay.target.pass_time(seconds)

    return act


def paid(*labels: str) -> tuple[Act, ...]:
    return tuple(act for label in labels for act in (create(label), pay(label)))


@dataclass(frozen=True)
class Given:
    """The part of an exchange that the recording does not show.

    `before` runs before the request, `meanwhile` while it waits. A `pending` exchange is answered in the
    `meanwhile` of a later one.
    """

    before: tuple[Act, ...] = ()
    meanwhile: tuple[Act, ...] = ()
    pending: bool = False


START = {
    "listinvoices": (
        create("inv-1", description="a coffee"),
        create("inv-any", "any", description="a coffee"),
        create("exp-0", expiry=0, description="a coffee"),
        pass_time(1),
        create("list-1"),
    ),
    # As many as in the recording, so that its indexes match.
    "wait": (
        *(act for n in range(10) for act in (create(f"u-{n}"), pay(f"u-{n}"))),
        *(create(f"c-{n}") for n in range(48)),
        *(delete(f"c-{n}", "unpaid") for n in range(2)),
    ),
    "protocol": (create("inv-1"),),
    "expiry": paid(*(f"u-{n}" for n in range(13))),
    "waitanyinvoice": (
        *paid("wait-1", "wait-4"),
        create("wait-any", "any"),
        pay("wait-any", amount_msat=123456),
    ),
}

GIVEN = {
    ("delinvoice", "wrong status"): Given(before=(create("del-1"),)),
    ("delinvoice", "paid, as unpaid"): Given(before=paid("del-2")),
    ("delinvoice", "pay a deleted invoice"): Given(
        before=(create("del-3", known_by="invstring"), delete("del-3", "unpaid"))
    ),
    ("expiry", "at once"): Given(before=(create("e-1", expiry=1),)),
    # Within the second of the expiry, the real payer still asks the payee.
    ("expiry", "later"): Given(before=(pass_time(1),)),
    ("expiry", "several expire: the wait tells of one"): Given(
        before=tuple(create(f"e-many-{n}", expiry=1) for n in range(3)), meanwhile=(pass_time(2),)
    ),
    ("wait", "created fires"): Given(meanwhile=(create("w-1"),)),
    ("wait", "updated fires: paid"): Given(meanwhile=(pay("w-1"),)),
    ("wait", "updated fires: expired (no label in it)"): Given(
        before=(create("w-2", expiry=1),), meanwhile=(pass_time(2),)
    ),
    ("wait", "deleted fires"): Given(meanwhile=(delete("w-1", "paid"),)),
    ("wait", "created, three ahead"): Given(meanwhile=tuple(create(f"w-3-{n}") for n in range(3))),
    ("wait", "updated fires: description removed"): Given(
        meanwhile=(delete("w-3-0", "unpaid", desconly=True),)
    ),
    ("wait_deleted", "unpaid"): Given(before=(create("d-1"),), meanwhile=(delete("d-1", "unpaid"),)),
    ("wait_deleted", "two deletions, the first"): Given(before=(create("d-2"), create("d-3")), pending=True),
    ("wait_deleted", "two deletions, the second"): Given(
        meanwhile=(delete("d-2", "unpaid"), delete("d-3", "unpaid"))
    ),
    ("wait_deleted", "expired"): Given(
        before=(create("d-4", expiry=1), pass_time(2)), meanwhile=(delete("d-4", "expired"),)
    ),
    ("wait_deleted", "only the description"): Given(before=(create("d-5"),)),
    ("wait_deleted", "a new invoice with its label"): Given(before=(create("d-5"),)),
    ("waitinvoice", "unpaid, then paid"): Given(before=(create("wait-1"),), meanwhile=(pay("wait-1"),)),
    ("waitinvoice", "expires during the wait"): Given(
        before=(create("wait-2", expiry=1),), meanwhile=(pass_time(2),)
    ),
    ("waitinvoice", "deleted during the wait"): Given(
        before=(create("wait-3"),), meanwhile=(delete("wait-3", "unpaid"),)
    ),
    ("waitinvoice", "two waiters, 1"): Given(before=(create("wait-4"),), pending=True),
    ("waitinvoice", "two waiters, 2"): Given(meanwhile=(pay("wait-4"),)),
    ("waitinvoice", "any amount, 123456 msat"): Given(
        before=(create("wait-any", "any"),), meanwhile=(pay("wait-any", amount_msat=123456),)
    ),
    ("waitanyinvoice", "two waiters, 1"): Given(before=(create("any-1"),), pending=True),
    ("waitanyinvoice", "two waiters, 2"): Given(pending=True),
    ("waitanyinvoice", "a waiter with an index far ahead fires as well"): Given(meanwhile=(pay("any-1"),)),
    ("waitanyinvoice", "three paid at once: one waiter"): Given(meanwhile=paid("any-3", "any-4", "any-5")),
    ("waitanyinvoice", "after deleting that paid invoice"): Given(before=(delete("any-3", "paid"),)),
    ("payments", "xpay"): Given(before=(create("p-1", 10000, known_by="invstring"),)),
    ("payments", "xpay with an amount on a fixed invoice"): Given(
        before=(create("p-2", 10000, known_by="invstring"),)
    ),
    ("payments", "any without an amount"): Given(before=(create("p-3", "any", known_by="invstring"),)),
    ("funds", "keysend to itself"): Given(before=(learn_its_id,)),
    # Recorded in the third second after the invoice was created.
    ("own_payments", "expired"): Given(before=(pass_time(3),)),
    ("own_payments", "created fires"): Given(meanwhile=paid("o-6")),
    ("own_payments", "updated fires"): Given(meanwhile=paid("o-7")),
    ("payments", "0.01 btc"): Given(before=(create("p-5", 10**9, known_by="invstring"),)),
}

# The second write of an exchange, after which the client closed its side.
SECOND_WRITE = {
    "malformed, then a good request": '{"jsonrpc":"2.0","id":1,"method":"getinfo","params":{}}',
    "in two pieces": '"method":"ping_","params":{}}',
}
END_OF_INPUT = {"unfinished, then end of input"}

FILES = (
    *("invoice", "labels", "description", "listinvoices", "delinvoice", "expiry"),
    *(
        "wait",
        "wait_deleted",
        "waitinvoice",
        "waitanyinvoice",
        "decode",
        "protocol",
        "payments",
        "own_payments",
    ),
    *("funds", "offers"),
)


# The real node of these recordings had a channel, with a peer whom no one else could reach.
HAVE_A_CHANNEL = {"labels", "description", "expiry"}
DEAD_END = Channel("103x1x0", "1x1x1", "02" + "ab" * 32, 10**11, is_dead_end=True)


@asynccontextmanager
async def target(rpc_file: Path, *channels: Channel) -> AsyncIterator[Target]:
    clock = Clock()

    async def pay(method: str, params: Params) -> Reply:
        async with connected(rpc_file) as rpc:
            return await rpc.call(method, params)

    async def pass_time(seconds: float) -> None:
        clock.now += seconds
        node.expire_due()

    async with Simulator(rpc_file, clock=clock, channels=channels) as node:
        yield Target(rpc_file, pay, pass_time)


@pytest.mark.parametrize("file", FILES)
async def test_exchanges(file: str, tmp_path: Path) -> None:
    """Each reply has the recorded structure, types, errors and deterministic values."""
    channels = [DEAD_END] if file in HAVE_A_CHANNEL else []
    async with target(tmp_path / "rpc", *channels) as node, AsyncExitStack() as connections:
        replay = Replay(node, connections)
        exchanges = [exchange for exchange in recorded(file) if (file, exchange.title) not in OMITTED]
        for act in START.get(file, ()):
            await act(replay, exchanges[0])

        problems = await replayed(replay, file, exchanges)

        assert not problems, "\n".join(problems)


async def replayed(replay: Replay, file: str, exchanges: list[Exchange]) -> list[str]:
    problems = []
    pending = []
    for exchange in exchanges:
        given = GIVEN.get((file, exchange.title), Given())
        for act in given.before:
            await act(replay, exchange)
        if exchange.method == "(raw bytes)":
            problems += await replay.raw(
                exchange, SECOND_WRITE.get(exchange.title, ""), then_end=exchange.title in END_OF_INPUT
            )
        elif exchange.node == "b":
            reply = await replay.target.pay(exchange.method, replay.translated(exchange.params))
            problems += replay.compare(exchange, reply)
        elif given.pending or given.meanwhile:
            rpc = await replay.connection()
            pending.append((exchange, rpc, await rpc.start(exchange.method, **exchange.params)))
        else:
            reply = await replay.call(exchange.method, replay.translated(exchange.params))
            problems += replay.compare(exchange, reply)
        if given.meanwhile:
            for act in given.meanwhile:
                await act(replay, exchange)
            for waiting, rpc, number in pending:
                problems += replay.compare(waiting, await rpc.reply_to(number))
            pending = []
    assert not pending
    return problems


async def test_commands_and_parameters_are_those_of_a_real_node(tmp_path: Path) -> None:
    """Parameters have the same order, and the same ones are required."""
    [exchange] = recorded("help")
    async with target(tmp_path / "rpc") as node, connected(node.rpc_file) as rpc:
        here, there = (
            {words[0]: words[1:] for each in reply["help"] for words in [each["command"].split()]}
            for reply in (await rpc.result("help"), exchange.reply["result"])
        )
    # A real node also calls it bolt11 in its error for a missing parameter.
    there["pay"][0] = "bolt11"

    for command, parameters in here.items():
        real = iter(there[command])
        assert all(parameter in real for parameter in parameters), command
        assert [name for name in parameters if name[0] != "["] == [
            name for name in there[command] if name[0] not in "[("
        ]


def test_prepared_and_omitted_exchanges_exist() -> None:
    """Each exchange that is prepared or omitted is in its recording; less than a tenth is omitted."""
    titles = {(file, exchange.title) for file in FILES for exchange in recorded(file)}

    assert GIVEN.keys() | OMITTED.keys() <= titles
    assert len(OMITTED) < len(titles) / 10
