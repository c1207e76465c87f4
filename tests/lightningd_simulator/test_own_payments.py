"""Payments that take time: their pending state, and interruptions."""

import asyncio
from pathlib import Path
from typing import Any

from lightningd_simulator import Simulator
from tests.support.clock import Clock
from tests.support.rpc import Rpc, connected

LONG, SHORT = 3600.0, 0.05


async def create(rpc: Rpc, label: str, **more: Any) -> str:
    made = await rpc.result("invoice", amount_msat=1000, label=label, description="d", **more)
    return str(made["bolt11"])


async def statuses(rpc: Rpc) -> list[str]:
    parts = (await rpc.result("listsendpays"))["payments"]
    assert [pay["status"] for pay in (await rpc.result("listpays"))["pays"]] == [
        part["status"] for part in parts
    ]
    return [part["status"] for part in parts]


async def status_of(rpc: Rpc, label: str) -> str:
    [invoice] = (await rpc.result("listinvoices", label=label))["invoices"]
    return str(invoice["status"])


async def test_a_payment_arrives_after_its_duration(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "rpc", payment_seconds=SHORT), connected(tmp_path / "rpc") as rpc:
        bolt11 = await create(rpc, "a")
        began = asyncio.get_running_loop().time()

        await rpc.result("xpay", invstring=bolt11)

        assert asyncio.get_running_loop().time() - began >= SHORT
        assert await status_of(rpc, "a") == "paid"
        assert await statuses(rpc) == ["complete"]


async def test_a_pending_payment_is_not_repeated(tmp_path: Path) -> None:
    """The error text is that of a real node after five concurrent calls."""
    async with Simulator(tmp_path / "rpc", payment_seconds=LONG), connected(tmp_path / "rpc") as rpc:
        bolt11 = await create(rpc, "a")
        await rpc.start("xpay", invstring=bolt11)
        [part] = (await rpc.result("listsendpays"))["payments"]

        for method, name in (("xpay", "invstring"), ("pay", "bolt11")):
            assert (await rpc.call(method, {name: bolt11}))["error"] == {
                "code": -3,
                "message": 'Unexpected injectpaymentonion error 200: {"code":200,"message":"Payment with '
                f'groupid={part["groupid"]} still in progress, cannot retry before that completes."}}',
            }

        assert await status_of(rpc, "a") == "unpaid"
        assert await statuses(rpc) == ["pending"]


async def test_an_invoice_that_expires_during_the_payment_is_not_paid(tmp_path: Path, clock: Clock) -> None:
    async with (
        Simulator(tmp_path / "rpc", clock=clock, payment_seconds=SHORT),
        connected(tmp_path / "rpc") as rpc,
    ):
        bolt11 = await create(rpc, "a", expiry=1)
        paying = await rpc.start("xpay", invstring=bolt11)
        clock.now += 2

        refused = (await rpc.reply_to(paying))["error"]

        assert refused["code"] == 203
        assert await status_of(rpc, "a") == "expired"
        assert await statuses(rpc) == ["failed"]
        assert (await rpc.call("xpay", {"invstring": bolt11}))["error"]["code"] == 207


async def test_a_payment_continues_when_its_caller_disconnects(tmp_path: Path) -> None:
    async with Simulator(tmp_path / "rpc", payment_seconds=SHORT), connected(tmp_path / "rpc") as rpc:
        bolt11 = await create(rpc, "a")
        async with connected(tmp_path / "rpc") as payer:
            await payer.start("xpay", invstring=bolt11)

        await rpc.result("waitinvoice", label="a")

        assert await statuses(rpc) == ["complete"]


async def test_a_payment_continues_after_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(tmp_path / "rpc", state, payment_seconds=LONG), connected(tmp_path / "rpc") as rpc:
        await rpc.start("xpay", invstring=await create(rpc, "a"))

    async with Simulator(tmp_path / "rpc", state), connected(tmp_path / "rpc") as rpc:
        await rpc.result("waitinvoice", label="a")

        assert await statuses(rpc) == ["complete"]
