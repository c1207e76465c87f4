"""grpc.health.v1: readiness follows the store; the node's state is a service name of its own."""

import asyncio
from collections.abc import Callable

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tilld.errors import TillError
from tilld.store import Store

CHECK_SECONDS = 1.0

NODE = "till.node"


async def report(
    servicer: health.aio.HealthServicer, services: list[str], store: Store, node_is_online: Callable[[], bool]
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
        await store.totals()
    except TillError:
        return False
    return True
