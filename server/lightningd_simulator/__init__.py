"""A stand-in for lightningd: its JSON-RPC on a unix socket, real signed invoices, payments on command.

It answers as the real v26.06.6 was seen to answer, and knows nothing of the rest of tilld.
"""

from lightningd_simulator.rpc.answers import NodeAborted
from lightningd_simulator.server import Simulator, serve

__all__ = ["NodeAborted", "Simulator", "serve"]
