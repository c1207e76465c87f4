"""Envoy without a tilld of its own, for `tilld envoy`."""

from collections.abc import Callable

from tilld.config import Address, Config
from tilld.envoy.front import Front
from tilld.runtime import supervisor
from tilld.runtime.preflight import make_directory


async def run(config: Config, announce: Callable[[Address], None]) -> None:
    """Run Envoy until SIGINT or SIGTERM. Call `announce` with its address when it serves.

    Raises OperatorError if Envoy cannot start, or keeps dying.
    """
    standalone = Standalone(config)
    await supervisor.run(standalone, lambda: announce(standalone.rest))


class Standalone(Front):
    """A supervisor of Envoy alone."""

    rest: Address

    def __init__(self, config: Config) -> None:
        super().__init__(config, upstream_ca=config.upstream_ca)

    @property
    def status(self) -> str:
        """Return the addresses."""
        return f"REST {self.rest}, in front of {', '.join(map(str, self._config.upstream))}"

    async def _start(self) -> None:
        make_directory(self._config.data_dir)
        self.rest = await self._start_envoy(self._config.upstream)
