"""Serves till.rest.v1.EventService."""

from till_rest.v1 import event_service_pb2_grpc
from tilld.events.service import Events


class RestEventServicer(event_service_pb2_grpc.EventServiceServicer):
    """The documented REST API of events."""

    def __init__(self, events: Events, heartbeat_seconds: float) -> None:
        self._events = events
        self._heartbeat_seconds = heartbeat_seconds
