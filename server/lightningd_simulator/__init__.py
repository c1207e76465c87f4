"""A simulated lightningd: JSON-RPC on a unix socket, real signed invoices, payments on command.

Replies match those observed from v26.06.6. The package is independent of the rest of tilld.
"""

from lightningd_simulator.rpc.answers import NodeAborted
from lightningd_simulator.server import Simulator, serve

__all__ = ["NodeAborted", "Simulator", "serve"]
