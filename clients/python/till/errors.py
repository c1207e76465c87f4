"""What can go wrong, each with the code that Till documents for it.

Error
├── Internal             E0   a fault of Till or its node; it is in Till's log
├── InvalidRequest       E1   the request is wrong; the message names the field and the limit
├── NotFound             E2
├── Unauthenticated      E3   a key is needed, or this one is unknown, expired or revoked
├── PermissionDenied     E4   the key may not do this
├── Conflict             E5   the label is in use for another request
├── TooLarge             E6
├── TooMany              E7   more than the key may have; `retry_after` says when to try again
├── Unavailable          E8   the node is offline, or Till can't serve
│   └── ConnectionLost        Till can't be reached; it has no code
├── TookTooLong          E9   also when the deadline of a call has passed, without a code then
├── NoSuchMethod         E10
├── NotActive            E11  an invoice request that nobody can collect any more
├── Expired              E12  an invoice request whose time is over
├── Unreachable          E13  there is no way to the other node
├── Refused              E14  the other node refuses to pay
└── NotPaid              E15  the other node did not pay in time
"""

from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


class Error(Exception):
    """A call that failed.

    message: what Till says, for a person to read.
    code: the documented code, such as "E2". None where the answer is not Till's own: the connection was lost,
        or the deadline has passed.
    reason: its name, such as "NOT_FOUND". None as above.
    status: gRPC's name of the status, such as "NOT_FOUND".
    retry_after: seconds after which to try again. None: Till does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        # With a default, since it is made anew from its message alone when it is unpickled.
        status: str = "UNKNOWN",
        code: str | None = None,
        reason: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.code else self.message


class Internal(Error):
    """A fault of Till or its node."""


class InvalidRequest(Error):
    """The request is wrong; the message names the field and the limit."""


class NotFound(Error):
    """No such thing, or none that the key may know of."""


class Unauthenticated(Error):
    """A key is needed, or this one is unknown, expired or revoked."""


class PermissionDenied(Error):
    """The key has no scope for this, or is for another type."""


class Conflict(Error):
    """The label is in use for another request; the message says what differs."""


class TooLarge(Error):
    """Something exceeds a limit in bytes."""


class TooMany(Error):
    """More than the key may have: try again after `retry_after` seconds."""


class Unavailable(Error):
    """The node is offline, or Till can't serve this now: try again."""


class ConnectionLost(Unavailable):
    """Till can't be reached, or was lost before it answered."""


class TookTooLong(Error):
    """The deadline has passed. What was asked for may have been done all the same."""


class NoSuchMethod(Error):
    """This Till has no such method: it is older than the client."""


class NotActive(Error):
    """The invoice request was disabled or collected."""


class Expired(Error):
    """The time of the invoice request is over."""


class Unreachable(Error):
    """There is no way to the node that made the invoice request."""


class Refused(Error):
    """The node that made the invoice request refuses to pay."""


class NotPaid(Error):
    """The node that made the invoice request did not pay in time, and can't any more."""


BY_CODE: dict[str, type[Error]] = {
    "E0": Internal,
    "E1": InvalidRequest,
    "E2": NotFound,
    "E3": Unauthenticated,
    "E4": PermissionDenied,
    "E5": Conflict,
    "E6": TooLarge,
    "E7": TooMany,
    "E8": Unavailable,
    "E9": TookTooLong,
    "E10": NoSuchMethod,
    "E11": NotActive,
    "E12": Expired,
    "E13": Unreachable,
    "E14": Refused,
    "E15": NotPaid,
}

# For what gRPC or a proxy answers by itself. A stream that is reset, as by an Envoy whose Till was killed,
# shows as INTERNAL, UNKNOWN or CANCELLED.
WITHOUT_CODE: dict[grpc.StatusCode, type[Error]] = {
    grpc.StatusCode.UNAVAILABLE: ConnectionLost,
    grpc.StatusCode.CANCELLED: ConnectionLost,
    grpc.StatusCode.INTERNAL: ConnectionLost,
    grpc.StatusCode.UNKNOWN: ConnectionLost,
    grpc.StatusCode.DEADLINE_EXCEEDED: TookTooLong,
    grpc.StatusCode.UNIMPLEMENTED: NoSuchMethod,
}


def error_of(failed: Any, proxy: str | None = None) -> Error:
    """The Error for a grpc.RpcError, of a sync or an async call; proxy: what the call went through."""
    status: grpc.StatusCode = failed.code()
    info, retry = ErrorInfo(), RetryInfo()
    for name, value in failed.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                # Unpacks only what is of its type.
                detail.Unpack(info)
                detail.Unpack(retry)
    delay = retry.retry_delay.ToTimedelta()
    code = info.metadata.get("code") if info.domain == "till" else None
    kind = BY_CODE.get(code, Error) if code else WITHOUT_CODE.get(status, Error)
    said = failed.details() or status.name
    if kind is ConnectionLost:
        said = f"Till cannot be reached, or was lost: {said}"
        if proxy:
            said += f" (through the proxy {proxy}; to go without it, add Till's host to no_proxy)"
    return kind(
        said,
        status=status.name,
        code=code,
        reason=info.reason if code else None,
        retry_after=delay.total_seconds() if retry.HasField("retry_delay") else None,
    )
