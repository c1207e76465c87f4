"""Collects the handlers of generated services, for one handler of all methods."""

from collections.abc import Iterable, Mapping
from typing import Any

# grpc's stubs know the handlers of its synchronous server only.
Handler = Any


class Registrar:
    """Takes handlers as a server does, from generated `add_…_to_server`, and keeps them by their paths."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Keep the handlers of a service."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def add_generic_rpc_handlers(self, handlers: Iterable[Handler]) -> None:
        """Ignore them: generated code registers the same handlers twice."""
