"""Serves till.rest.v1.HealthService."""

from collections.abc import Callable
from typing import Annotated

from google.api.httpbody_pb2 import HttpBody
from msgspec import Struct

from till_rest.v1 import health_service_pb2 as pb
from till_rest.v1 import health_service_pb2_grpc
from tilld.errors import Unavailable
from tilld.formats.strict_json import write
from tilld.rest_api.http import Context, json_body
from tilld.rest_api.schemas.fields import described, extensible


class HealthJson(Struct):
    """Till answers."""

    status: Annotated[str, described("`alive`.", **extensible(["alive"]))]


class ReadinessJson(Struct):
    """Till can serve, and the state of the node."""

    status: Annotated[str, described("`ready`.", **extensible(["ready"]))]
    online: Annotated[bool, described("Whether the node responds. If not, nothing can be created.")]


ALIVE = write(HealthJson(status="alive"))
READY = {online: write(ReadinessJson(status="ready", online=online)) for online in (True, False)}


class RestHealthServicer(health_service_pb2_grpc.HealthServiceServicer):
    """Health over HTTP. It neither reads the store nor asks the node, so a flood of probes costs little."""

    def __init__(self, is_ready: Callable[[], bool], node_is_online: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self._node_is_online = node_is_online

    async def GetHealth(self, request: pb.GetHealthRequest, context: Context) -> HttpBody:
        """Return that Till answers."""
        return json_body(ALIVE)

    async def GetReadiness(self, request: pb.GetReadinessRequest, context: Context) -> HttpBody:
        """Return whether the store works.

        Raises Unavailable if it does not, or Till is stopping.
        """
        if not self._is_ready():
            raise Unavailable("Till cannot serve: its database fails, or Till is stopping; see its log")
        return json_body(READY[self._node_is_online()])
