"""Envoy alone, in front of tilld processes that others run."""

from collections.abc import Callable

from tilld.config import Address, Config
from tilld.envoy.front import Front
from tilld.runtime import supervisor
from tilld.runtime.preflight import make_directory


async def run(config: Config, announce: Callable[[Address], None]) -> None:
    """Run Envoy alone until SIGINT or SIGTERM; `announce` is called with its address when it serves.

    Raises OperatorError where it can't start, or dies.
    """
    standalone = Standalone(config)
    await supervisor.run(standalone, lambda: announce(standalone.rest))


class Standalone(Front):
    """Envoy, and nothing behind it."""

    rest: Address

    def __init__(self, config: Config) -> None:
        super().__init__(config, upstream_ca=config.upstream_ca)

    async def _start(self) -> None:
        make_directory(self._config.data_dir)
        self.rest = await self._start_envoy(self._config.upstream)
