"""Two simulated nodes handle invoice requests like two real ones, exchange by exchange."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.node_pair import Pair, pair_of_nodes
from tests.support.replay import Exchange, Replay, Target, recorded
from tests.support.rpc import Reply, connected

FILES = (
    *("bolt12", "invoicerequest", "decode_bolt12"),
    *("sendinvoice", "sendinvoice_meanwhile", "sendinvoice_crash", "sendinvoice_twice"),
)

# Exchanges that are not simulated or cannot be awaited; the reason names the test that covers them.
OMITTED = {
    ("bolt12", "requester lacks funds"): "no channels",
    ("bolt12", "invreq: nonsense"): "a node for developers says more: sendinvoice has it",
    ("bolt12", "invreq: damaged"): "a node for developers says more: sendinvoice has it",
    ("bolt12", "invreq: a bolt11"): "a node for developers says more: sendinvoice has a lni",
    ("bolt12", "its invoice"): "no channels",
    ("decode_bolt12", "another's prefix"): "no runes",
    ("sendinvoice", "more than the channel holds"): "no channels",
    ("sendinvoice", "more than all bitcoin"): "no channels: test_offers",
    ("sendinvoice", "the payment that failed"): "all payments of before, too",
    ("sendinvoice", "pay an lni by hand"): "xpay pays the node's own invoices",
    ("sendinvoice_meanwhile", "held: then let go: the payment part"): "no onions that come back",
    **{("sendinvoice_meanwhile", f"burst {n}"): "takes 3 seconds: test_offers" for n in range(8)},
}


@dataclass
class Stage:
    """A pair of nodes, and the requests in flight."""

    pair: Pair
    replays: dict[str, Replay]
    under_way: dict[str, Awaitable[Reply]] = field(default_factory=dict)


Act = Callable[[Stage, dict[str, Exchange]], Awaitable[None]]


def start(title: str, **changed: Any) -> Act:
    """Send the request whose reply is recorded later."""

    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        exchange = exchanges[title]
        replay = stage.replays[exchange.node]
        rpc = await replay.connection()
        params = replay.translated(exchange.params) | changed
        number = await rpc.start(exchange.method, **params)
        stage.under_way[title] = asyncio.ensure_future(rpc.reply_to(number))

    return act


def send_and_hang_up(label: str) -> Act:
    """Send an invoice for the newest request, and disconnect before the reply."""

    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        requests = [each for each in exchanges.values() if each.method == "invoicerequest"]
        replay = stage.replays["b"]
        newest = [each for each in requests if each.reply["result"]["bolt12"] in replay.known][-1]
        async with connected(replay.target.rpc_file) as rpc:
            invreq = replay.translated(newest.reply["result"]["bolt12"])
            await rpc.start("sendinvoice", invreq=invreq, label=label)

    return act


def hold(name: str, method: str = "dev-htlc") -> Act:
    """Hold up calls to a node."""

    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        stage.pair.ways[name].hold(method)

    return act


async def held(stage: Stage, exchanges: dict[str, Exchange]) -> None:
    """Wait until a payment is in flight."""
    await stage.pair.ways["b"].waiting.acquire()


def known_as(title: str) -> Act:
    """Map the hash by which a later exchange names the payment in flight."""

    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        replay = stage.replays["a"]
        [payment] = (await replay.call("listpays", {"status": "pending"}))["result"]["pays"]
        replay.known[exchanges[title].params["payment_hash"]] = payment["payment_hash"]

    return act


def release(name: str) -> Act:
    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        stage.pair.ways[name].release()

    return act


def kill(name: str) -> Act:
    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        await stage.pair.kill(name)

    return act


def restart(name: str) -> Act:
    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        await stage.pair.start(name)

    return act


def pass_time(seconds: float) -> Act:
    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        stage.pair.pass_time(seconds)

    return act


async def settled(stage: Stage, exchanges: dict[str, Exchange]) -> None:
    """Wait until no payment is in flight."""
    while (await stage.replays["a"].call("listpays", {"status": "pending"}))["result"]["pays"]:
        await asyncio.sleep(0)


def request(known_by: str, **more: Any) -> Act:
    """Create a request that the recording names in an exchange."""

    async def act(stage: Stage, exchanges: dict[str, Exchange]) -> None:
        replay = stage.replays["a"]
        reply = await replay.call("invoicerequest", {"amount": 1000, "description": "d", **more})
        replay.learn({"bolt12": exchanges[known_by].params["invreq"]}, reply["result"])
        replay.known[exchanges["disableinvoicerequest"].params["invreq_id"]] = reply["result"]["invreq_id"]

    return act


async def as_many_as_before(stage: Stage, exchanges: dict[str, Exchange]) -> None:
    """Send and pay as many requests as the recording had, so that its indexes match."""
    a, b = stage.replays["a"], stage.replays["b"]
    # Some were unpaid, and one was the requester's own.
    for number, (amount, receiver) in enumerate([*[(1, b)] * 14, *[(0, b)] * 10, (1, a)]):
        made = (await a.call("invoicerequest", {"amount": amount, "description": "d"}))["result"]
        params = {"invreq": made["bolt12"], "label": f"before-{number}", "timeout": 1}
        await receiver.call("sendinvoice", params)
    stage.pair.pass_time(1)


MEANWHILE, CRASH, TWICE = "sendinvoice_meanwhile", "sendinvoice_crash", "sendinvoice_twice"
BEFORE: dict[tuple[str, str], tuple[Act, ...]] = {
    ("bolt12", "duplicate label"): (request("duplicate label"),),
    ("sendinvoice", "delinvoice of an unpaid one"): (pass_time(100),),
    (MEANWHILE, "sendpays counter: created"): (as_many_as_before,),
    (MEANWHILE, "sendinvoice, waited for"): tuple(
        start(f"the {who}")
        for who in (
            *("receiver waits for created", "receiver waits for updated", "receiver waits for any"),
            *("requester waits for created", "requester waits for updated"),
        )
    ),
    (MEANWHILE, "in flight: the receiver's invoice"): (hold("b"), start("in flight: and paid"), held),
    (MEANWHILE, "in flight: and paid"): (release("b"),),
    (MEANWHILE, "in flight: paid, the request"): (settled,),
    (MEANWHILE, "held: times out"): (hold("b"), start("held: times out", timeout=1), held),
    (MEANWHILE, "held: the invoice"): (pass_time(4),),
    (MEANWHILE, "held: then let go: the invoice"): (release("b"), settled),
    (MEANWHILE, "hung up: the invoice"): (hold("b"), send_and_hang_up("u-1"), held, release("b"), settled),
    (MEANWHILE, "frozen requester: no answer"): (hold("a", "dev-onionmessage"),),
    (MEANWHILE, "frozen requester, thawed: the invoice"): (pass_time(3), release("a")),
    (CRASH, "requester killed in flight: a request to it"): (
        *(hold("b"), start("requester killed in flight: paid all the same"), held, kill("a")),
    ),
    (CRASH, "requester killed in flight: paid all the same"): (release("b"),),
    (CRASH, "requester killed in flight, again up: the payment"): (restart("a"), settled),
    (CRASH, "receiver killed in flight: the payment"): (
        *(hold("b"), send_and_hang_up("l-1"), held),
        *(known_as("receiver killed in flight: the payment"), kill("b")),
    ),
    (CRASH, "receiver killed in flight, again up: the payment"): (release("b"), restart("b"), settled),
    (CRASH, "disabled in flight: disable"): (
        *(hold("b"), start("disabled in flight: the receiver is paid"), held),
    ),
    (CRASH, "disabled in flight: the receiver is paid"): (release("b"),),
    (TWICE, "after a failed payment, two at once: 1"): (
        *(hold("b"), send_and_hang_up("d-1"), held, pass_time(100), release("b"), settled, hold("b")),
        *(act for n in "12" for act in (start(f"after a failed payment, two at once: {n}"), held)),
        release("b"),
    ),
}
# Sent with timeout 0, so that the test does not wait for the timeout.
WITHOUT_WAITING = {
    (MEANWHILE, "frozen requester: no answer"),
}


@pytest.fixture
async def pair(tmp_path: Path, clock: Clock) -> AsyncIterator[Pair]:
    async with pair_of_nodes(tmp_path, clock) as both:
        yield both


@pytest.mark.parametrize("file", FILES)
async def test_exchanges(file: str, pair: Pair) -> None:
    """Each reply has the recorded structure, types, errors and deterministic values."""
    exchanges = {each.title: each for each in recorded(file) if (file, each.title) not in OMITTED}
    async with AsyncExitStack() as connections:
        known: dict[str, str] = {}

        async def nothing(*_: object) -> Any:
            raise NotImplementedError

        replays = {
            name: Replay(Target(pair.rpc_file(name), nothing, nothing), connections, known) for name in "ab"
        }
        stage = Stage(pair, replays)
        problems = list[str]()
        for exchange in exchanges.values():
            for act in BEFORE.get((file, exchange.title), ()):
                await act(stage, exchanges)
            problems += await replayed(stage, file, exchange)

    assert not problems, "\n".join(problems)


async def replayed(stage: Stage, file: str, exchange: Exchange) -> list[str]:
    replay = stage.replays[exchange.node]
    if exchange.method == "(raw bytes)":
        return await replay.raw(exchange)
    if exchange.title in stage.under_way:
        return replay.compare(exchange, await stage.under_way.pop(exchange.title))
    # The reply to decode depends on the string alone.
    params = exchange.params if exchange.method == "decode" else replay.translated(exchange.params)
    if (file, exchange.title) in WITHOUT_WAITING:
        params["timeout"] = 0
    return replay.compare(exchange, await replay.call(exchange.method, params))


def test_prepared_and_omitted_exchanges_exist() -> None:
    """Each exchange that is prepared or omitted is in its recording; less than a tenth is omitted."""
    titles = {(file, exchange.title) for file in FILES for exchange in recorded(file)}

    assert BEFORE.keys() | OMITTED.keys() | WITHOUT_WAITING <= titles
    assert len(OMITTED) < len(titles) / 10
