"""Pays on the simulated node only."""

from pathlib import Path

from pyln.client import RpcError

from tilld.errors import OperatorError
from tilld.formats.bolt11 import pasted
from tilld.lightningd.rpc import ConnectionLost, Pipeline

TIMEOUT_SECONDS = 10.0
SIMULATED = "-simulated"


async def pay(rpc_file: Path, bolt11: str, amount_msat: int | None) -> int:
    """Pay an invoice of the simulated node; return the amount paid in millisatoshi.

    Raises OperatorError if no node replies, the node is real, or the node rejects the payment.
    """
    node = Pipeline(str(rpc_file), TIMEOUT_SECONDS)
    try:
        # A real node has the same command, and would spend real money.
        if not (await node.getinfo())["version"].endswith(SIMULATED):
            raise OperatorError(
                f"{rpc_file} is a real node, and tilld pays with play money only; name the simulated one"
            )
        paid = await node.call("xpay", {"invstring": pasted(bolt11), "amount_msat": amount_msat})
        return int(paid["amount_msat"])
    except ConnectionLost:
        raise OperatorError(
            f"no node answers at {rpc_file}; start one with 'tilld run', or name its socket with --rpc-file"
        ) from None
    except TimeoutError:
        raise OperatorError(f"the node at {rpc_file} did not answer in time; try again") from None
    except RpcError as refused:
        raise OperatorError(f"not paid: {refused.error['message']}") from None
    finally:
        await node.hang_up()
