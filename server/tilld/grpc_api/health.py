"""grpc.health.v1: readiness follows the store; the node's state is a service name of its own."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tilld.errors import TillError
from tilld.grpc_api import Context
from tilld.invoices.repository import Store

CHECK_SECONDS = 1.0

# A balancer asks more often than this, or is not waited for; envoy.yaml asks every second.
PATIENCE_SECONDS = 3.0

NODE = "till.node"


class HealthServicer(health.aio.HealthServicer):
    """Remembers who asks: a balancer sends us requests for as long as it believes that we serve."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, float] = {}
        self._to_tell: Counter[str] = Counter()
        self._told = asyncio.Event()

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        """Tell the status of a service."""
        self._asked = self._recently() | {context.peer(): time.monotonic()}
        self._to_tell -= Counter([context.peer()])
        if not self._to_tell:
            self._told.set()
        return await super().Check(request, context)

    async def leave(self) -> None:
        """Tell that we serve no more, and return when all know who ask often."""
        await self.enter_graceful_shutdown()
        # Who asks again has heard the answer, and had time to act on it in all of its threads.
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
    servicer: HealthServicer, services: list[str], store: Store, node_is_online: Callable[[], bool]
) -> None:
    """Keep the health service true, until cancelled."""
    status = {True: HealthCheckResponse.SERVING, False: HealthCheckResponse.NOT_SERVING}
    while True:
        ready = await _answers(store)
        for service in ("", *services):
            await servicer.set(service, status[ready])
        await servicer.set(NODE, status[node_is_online()])
        await asyncio.sleep(CHECK_SECONDS)


async def _answers(store: Store) -> bool:
    try:
        store.check_files()
        await store.totals()
    except TillError:
        return False
    return True
