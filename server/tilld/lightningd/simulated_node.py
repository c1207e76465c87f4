"""Runs the simulated lightningd as a child process, for play money."""

import sys
from asyncio.subprocess import PIPE

from tilld.config import Config
from tilld.errors import OperatorError
from tilld.runtime import child_process
from tilld.runtime.supervisor import RestartedProcess

STOP_SECONDS = 5.0


class SimulatedNodeProcess(RestartedProcess):
    """A simulated lightningd, whose state in the data directory survives restarts."""

    def __init__(self, config: Config) -> None:
        super().__init__("the simulated node", config.data_dir / "node.log")
        self._config = config

    async def start(self) -> None:
        """Start the node, and return when it listens.

        Raises OperatorError if it does not start.
        """
        self.log.unlink(missing_ok=True)
        await self._launch()

    async def stop(self) -> None:
        """Stop the node."""
        await child_process.stop(self.process, patience=STOP_SECONDS)

    async def _launch(self) -> None:
        config = self._config
        with self.log.open("ab") as errors:
            self.process = await child_process.start(
                sys.executable, "-m", "tilld.cli", "node", "simulate",
                f"--rpc-file={config.simulated_rpc_file}", f"--state={config.data_dir / 'node.jsonl'}",
                f"--payment-seconds={config.simulated_payment_seconds}", output=PIPE, errors=errors,
            )  # fmt: skip
        try:
            listens = self.process.stdout and await self.process.stdout.readline()
        except BaseException:
            # A signal may cancel the start.
            await self.stop()
            raise
        if not listens:
            said = self.log.read_text().strip().removeprefix("tilld: ")
            # On a full disk the log file is empty.
            unsaid = f"the simulated node did not start; check that {config.data_dir} has space left"
            raise OperatorError(said or unsaid)
