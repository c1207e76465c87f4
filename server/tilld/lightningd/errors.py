"""Translates lightningd's errors to Till's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum

import msgspec
import structlog
from pyln.client import RpcError

from tilld.errors import (
    Internal,
    InvalidRequest,
    NodeFailed,
    NodeOffline,
    NotActive,
    TillError,
    TookTooLong,
)
from tilld.lightningd.rpc import ConnectionLost

log = structlog.get_logger()


class RpcCode(IntEnum):
    """lightningd's error codes: lightningd-rpc(7), and the manual page of each command."""

    INVALID_PARAMS = -32602
    FAILED = -1
    DUPLICATE_LABEL = 900
    NO_USABLE_CHANNEL = 902
    UNKNOWN_INVOICE = 905
    UNEXPECTED_STATUS = 906
    INVREQ_NOT_ACTIVE = 1001
    INVREQ_EXPIRED = 1002
    PAYER_UNREACHABLE = 1003
    PAYER_REFUSED = 1004
    PAYER_SILENT = 1005


def _no_usable_channel() -> InvalidRequest:
    return InvalidRequest(
        "expose_private_channels names no channel of the node that is open and online; "
        "lightning-listpeerchannels(7) lists the short channel ids"
    )


ERRORS: dict[object, Callable[[], TillError]] = {
    RpcCode.FAILED: NodeFailed,
    RpcCode.NO_USABLE_CHANNEL: _no_usable_channel,
    RpcCode.INVREQ_NOT_ACTIVE: NotActive,
}


class MayExist(Exception):
    """Raised when only a lookup can show whether the node ran a command.

    The node's reply was lost, or it ran the command before.
    """


@contextmanager
def errors_translated(
    unknown_outcome: type[Exception] | None = None, *, refusals: bool = False
) -> Iterator[None]:
    """Translate connection errors and lightningd's errors to Till's.

    `unknown_outcome` is raised if the node may have run the command. With `refusals`, lightningd's own errors
    pass unchanged.
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
        raise TookTooLong("the lightning node did not answer in time; try again later") from None
    except RpcError as refused:
        if refusals:
            raise
        code, message = refused.error.get("code"), refused.error.get("message")
        if code == RpcCode.DUPLICATE_LABEL and unknown_outcome:
            raise unknown_outcome from None
        failure = ERRORS.get(code, Internal)()
        if isinstance(failure, Internal):
            log.error("lightningd rejected a call", method=refused.method, code=code, message=message)
        raise failure from None
    except msgspec.ValidationError as reason:
        log.error("lightningd's reply is malformed", reason=str(reason))
        if unknown_outcome:
            raise unknown_outcome from None
        raise Internal from None
