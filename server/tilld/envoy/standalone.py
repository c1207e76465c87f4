"""Envoy alone, in front of tilld processes that others run."""

from collections.abc import Callable

from tilld.config import Address, Config
from tilld.runtime import supervisor
from tilld.runtime.preflight import make_directory


async def run(config: Config, announce: Callable[[Address], None]) -> None:
    """Run Envoy alone until SIGINT or SIGTERM; `announce` is called with its address when it serves.

    Raises OperatorError where it can't start, or dies.
    """
    front = Front(config)
    await supervisor.run(front, lambda: announce(front.rest))


class Front(supervisor.Supervisor):
    """The parts of it: Envoy."""

    rest: Address

    def __init__(self, config: Config) -> None:
        super().__init__(config, config.upstream_ca)

    async def _start(self) -> None:
        make_directory(self._config.data_dir)
        self.rest = await self._start_envoy(self._config.upstream)
