"""A Till with payouts, and offers for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.samples import PLENTY
from tests.support.till import FAST, Parts
from tilld.auth.caller import Caller, Scope
from tilld.auth.limits import Limits
from tilld.payouts.follower import PaymentFollower
from tilld.payouts.invreq import Invreq, InvreqStatus, InvreqTerms, PayoutLimits
from tilld.payouts.service import Payouts

CASHIER = Caller("cashier", frozenset({Scope.PAYOUTS}), key_id="kkkkkkkkkkkk")
ANY_SUM = PayoutLimits(10**15, None, may_disable=True)


class PayingTill(Parts):
    """A Till with payouts."""

    def __init__(
        self,
        directory: Path,
        database: str,
        limits: PayoutLimits = PayoutLimits(5000, 10_000, may_disable=True),  # noqa: B008
    ) -> None:
        super().__init__(directory, database, intervals=FAST)
        self.payouts = Payouts(self.store, self.node, Limits(PLENTY), limits, self._now)

    async def offer(self, **fields: Any) -> Invreq:
        """Create an invoice request."""
        return await self.payouts.create(CASHIER, an_offer(**fields))

    async def read(self, invreq: Invreq) -> Invreq:
        return await self.payouts.get(CASHIER, invreq.invreq_id)

    async def offered(self) -> int:
        """Return the sum that the key has offered today."""
        today = int(self._now().timestamp()) // 86400
        return await self.payouts.store.offered_msat(CASHIER.key_id, today)

    @asynccontextmanager
    async def spending(self) -> AsyncIterator[PaymentFollower]:
        follower = PaymentFollower(self.node, self.payouts, self._now, self.intervals)
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def statuses(self, *invreqs: Invreq) -> list[InvreqStatus]:
        """Return the current statuses."""
        return await self.payouts.statuses([await self.read(each) for each in invreqs])

    async def until(self, invreq: Invreq, **facts: Any) -> None:
        """Wait until a request has these values."""
        async with asyncio.timeout(10):
            while (now := await self.read(invreq)) != replace(now, **facts):
                await asyncio.sleep(0.01)


def an_offer(**fields: Any) -> InvreqTerms:
    """Return terms of 1000 msat, with these changes."""
    good: dict[str, Any] = {
        "amount_msat": 1000, "description": "d", "issuer": None, "label": None, "absolute_expiry": None,
        "single_use": None,
    }  # fmt: skip
    return InvreqTerms.checked(**(good | fields))
