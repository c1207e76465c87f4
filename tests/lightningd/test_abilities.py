"""Commands that older versions of lightningd lack: detected, logged once, and not called."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.samples import DAKK, PLENTY
from tests.support.scripted_node import Request, result, scripted_node
from tests.support.till import FAST, Parts
from tilld.auth.limits import Limits
from tilld.errors import Unavailable
from tilld.lightningd.abilities import NO_BOLT12, NO_PAYMENTS, Abilities, Help
from tilld.payouts.follower import PaymentFollower
from tilld.payouts.invreq import InvreqTerms, PayoutLimits
from tilld.payouts.service import Payouts

VERSIONS = Path(__file__).parents[1] / "captures" / "versions"
PLAIN, OFFERS = "as it comes", "--experimental-offers"


def captured(version: str, started: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the replies of a real node, by method and parameters."""
    exchanges = json.loads((VERSIONS / f"{version}.json").read_text())
    return {
        (each["method"], json.dumps(each["params"])): each["reply"]
        for each in exchanges
        if each["title"] == started
    }


@pytest.mark.parametrize(
    ("version", "started", "no_collecting", "no_payouts"),
    [
        ("v23.08", PLAIN, NO_BOLT12, NO_BOLT12),
        ("v23.08", OFFERS, "", NO_PAYMENTS),
        ("v23.11", PLAIN, NO_BOLT12, NO_BOLT12),
        ("v23.11", OFFERS, "", ""),
        ("v26.06.6", PLAIN, "", ""),
    ],
)
def test_the_abilities_of_a_version_follow_from_its_help(
    version: str, started: str, no_collecting: str, no_payouts: str
) -> None:
    """The recordings confirm it: without an ability the node answers its commands with an error."""
    replies = captured(version, started)
    said = msgspec.convert(replies["help", "{}"]["result"], Help)

    assert Abilities.from_help(said) == Abilities(no_collecting, no_payouts)

    waits = {
        json.loads(params)["subsystem"]: reply
        for (method, params), reply in replies.items()
        if method == "wait"
    }
    assert "result" in waits["invoices"]
    assert ("error" in waits["sendpays"]) == (version == "v23.08")


@pytest.mark.parametrize("started", [PLAIN, OFFERS])
async def test_on_v23_08_missing_commands_are_logged_once_and_not_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], started: str
) -> None:
    """Invoices work; calls that need a missing command fail with an error that says what to do."""
    replies, asked = captured("v23.08", started), []

    async def answer(request: Request) -> bytes:
        asked.append(request["method"])
        if request["method"] == "getinfo":
            return result(request, replies["getinfo", "{}"]["result"])
        reply = replies[request["method"], json.dumps(request["params"])]
        return json.dumps({"jsonrpc": "2.0", "id": request["id"]} | reply).encode() + b"\n\n"

    till = Parts(tmp_path, intervals=FAST)
    payouts = Payouts(till.store, till.node, Limits(PLENTY), PayoutLimits())
    order = InvreqTerms.checked(
        amount_msat=1000, description="d", issuer=None, label="x", absolute_expiry=None, single_use=None
    )
    async with scripted_node(tmp_path / "rpc", answer):
        spending = asyncio.create_task(PaymentFollower(till.node, payouts, intervals=FAST).run())
        with pytest.raises(
            Unavailable, match="experimental-offers" if started == PLAIN else "v23.11 or later"
        ):
            await payouts.create(DAKK, order)
        if started == PLAIN:
            with pytest.raises(Unavailable, match="experimental-offers"):
                await till.send("lnr1qqgx", timeout=2)
        await asyncio.sleep(0.1)
        spending.cancel()
        await asyncio.wait([spending])
        await till.close()

    said = capsys.readouterr().out
    assert said.count("lightningd lacks") == 1
    assert "error" not in said
    assert set(asked) <= {"help", "getinfo"}
    # Each of the callers asks once per connection.
    assert asked.count("help") <= 5
    assert await payouts.store.get_by_label(DAKK.username, "x") is None


async def test_a_node_that_is_updated_is_used(tmp_path: Path) -> None:
    """The abilities are read again on a new connection."""
    versions = iter(["v23.08", "v23.11"])

    till = Parts(tmp_path)
    for expected in (NO_PAYMENTS, ""):
        replies = captured(next(versions), OFFERS)

        async def answer(request: Request, replies: dict[tuple[str, str], dict[str, Any]] = replies) -> bytes:
            return result(request, replies["help", "{}"]["result"])

        async with scripted_node(tmp_path / "rpc", answer):
            assert (await till.node.abilities()).no_payouts == expected
            await till.node.close()
        (tmp_path / "rpc").unlink(missing_ok=True)
    await till.close()
