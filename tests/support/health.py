"""Checks the health of a Till as gRPC clients do."""

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.shop import Shop

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_stub(shop: Shop) -> Any:
    """Return a stub of Till's health service."""
    return health_pb2_grpc.HealthStub(shop.channel)


async def status(shop: Shop, service: str) -> Any:
    """Return the health of a service."""
    return (await health_stub(shop).Check(health_pb2.HealthCheckRequest(service=service))).status


async def becomes(shop: Shop, service: str, wanted: int) -> None:
    """Watch the health of a service until it has the wanted status."""
    watch = health_stub(shop).Watch(health_pb2.HealthCheckRequest(service=service))
    async with asyncio.timeout(10):
        async for reply in watch:
            if reply.status == wanted:
                break
    watch.cancel()
