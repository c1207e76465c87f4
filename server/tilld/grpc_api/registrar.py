"""Collects the handlers of generated services, for one handler of all methods."""

from collections.abc import Iterable, Mapping
from typing import Any

# grpc's stubs type only the handlers of its synchronous server.
Handler = Any


class Registrar:
    """Stands in for a server in the generated `add_…_to_server`, and keeps the handlers by path."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Keep the handlers of a service."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def add_generic_rpc_handlers(self, handlers: Iterable[Handler]) -> None:
        """Ignore them: generated code registers the same handlers twice."""
