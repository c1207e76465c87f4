"""grpc.health.v1: readiness follows the store; the node's state is a separate service name."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tilld.config import USUAL, Intervals
from tilld.errors import TillError
from tilld.grpc_api import Context
from tilld.invoices.repository import Store

# Load balancers that check less often are not awaited; envoy.yaml checks every second.
PATIENCE_SECONDS = 3.0

NODE = "till.node"


class HealthServicer(health.aio.HealthServicer):
    """Remembers the checking peers: a load balancer sends requests while it considers Till healthy."""

    def __init__(self) -> None:
        super().__init__()
        self.store_works = False
        self._is_stopping = False
        self._asked: dict[str, float] = {}
        self._to_tell: Counter[str] = Counter()
        self._told = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Return whether Till can serve, by the last check of the store."""
        return self.store_works and not self._is_stopping

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        """Return the status of a service."""
        self._asked = self._recently() | {context.peer(): time.monotonic()}
        self._to_tell -= Counter([context.peer()])
        if not self._to_tell:
            self._told.set()
        return await super().Check(request, context)

    async def enter_graceful_shutdown(self) -> None:
        """Report NOT_SERVING from now on."""
        self._is_stopping = True
        await super().enter_graceful_shutdown()

    async def leave(self) -> None:
        """Report NOT_SERVING, and return once all peers that check often have read it."""
        await self.enter_graceful_shutdown()
        # A second check shows that the peer has read the status, and had time to apply it in all threads.
        self._to_tell = Counter(dict.fromkeys(self._recently(), 2))
        self._told.clear()
        if self._to_tell:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._told.wait()

    def _recently(self) -> dict[str, float]:
        since = time.monotonic() - PATIENCE_SECONDS
        return {peer: at for peer, at in self._asked.items() if at > since}


async def report(
    servicer: HealthServicer,
    services: list[str],
    store: Store,
    node_is_online: Callable[[], bool],
    intervals: Intervals = USUAL,
) -> None:
    """Update the health statuses until cancelled."""
    status = {True: HealthCheckResponse.SERVING, False: HealthCheckResponse.NOT_SERVING}
    while True:
        ready = await _answers(store, intervals.health_seconds)
        servicer.store_works = ready
        for service in ("", *services):
            await servicer.set(service, status[ready])
        await servicer.set(NODE, status[node_is_online()])
        await asyncio.sleep(intervals.health_check_seconds)


async def _answers(store: Store, patience: float) -> bool:
    try:
        store.check_files()
        async with asyncio.timeout(patience):
            await store.totals()
    except (TillError, TimeoutError):
        return False
    return True
