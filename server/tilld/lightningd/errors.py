"""lightningd's errors and amounts in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from pyln.client import RpcError

from tilld.errors import Internal, NodeFailed, NodeOffline, NotActive, TillError, TookTooLong
from tilld.formats.strict_json import whole
from tilld.lightningd.rpc import ConnectionLost

log = structlog.get_logger()

# lightning-invoice(7)
DUPLICATE_LABEL = 900

# What others of its errors are to callers: lightning-invoicerequest(7), lightning-disableinvoicerequest(7).
ERRORS: dict[object, type[TillError]] = {-1: NodeFailed, 1001: NotActive}

# What reading an answer raises that is not as it should be.
MALFORMED_REPLY = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


class MayExist(Exception):
    """The node may have done what it was told: its reply was lost, or it has done so before. Look it up."""


@contextmanager
def errors_translated(
    unknown_outcome: type[Exception] | None = None, *, refusals: bool = False
) -> Iterator[None]:
    """Errors of the way to the node, and the node's own, in our words.

    `unknown_outcome` is raised where the node may have done what it was told; with `refusals` the node's
    own errors come as they are.
    """
    try:
        yield
    except ConnectionLost as lost:
        if lost.sent and unknown_outcome:
            raise unknown_outcome from None
        raise NodeOffline from None
    except TimeoutError:
        if unknown_outcome:
            raise unknown_outcome from None
        raise TookTooLong("the lightning node takes too long to answer; try again later") from None
    except RpcError as refused:
        if refusals:
            raise
        code, message = refused.error.get("code"), refused.error.get("message")
        if code == DUPLICATE_LABEL and unknown_outcome:
            raise unknown_outcome from None
        log.error("lightningd refused a call", method=refused.method, code=code, message=message)
        raise ERRORS.get(code, Internal) from None
    except MALFORMED_REPLY as reason:
        log.error("lightningd's answer makes no sense", reason=repr(reason))
        if unknown_outcome:
            raise unknown_outcome from None
        raise Internal from None


def msat(amount: int | str) -> int:
    """An amount as lightningd writes it: an integer, by older versions with "msat" behind it."""
    return whole(int(amount.removesuffix("msat")) if isinstance(amount, str) else amount)
