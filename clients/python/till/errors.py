"""The errors of calls, one class for each documented code.

Error
├── Internal             E0   Till or its node has a fault; Till's log has the details
├── InvalidRequest       E1   the request is wrong; the message names the field and the limit
├── NotFound             E2   the resource does not exist, or belongs to another user
├── Unauthenticated      E3   the call needs a key, or the key is unknown, expired or revoked
├── PermissionDenied     E4   the key has no scope for the call
├── Conflict             E5   the label is in use for another request, or the invoice cannot be canceled
├── TooLarge             E6   a value exceeds a limit in bytes
├── TooMany              E7   the key exceeds a limit; `retry_after` says when to retry
├── Unavailable          E8   the node is offline, or Till cannot serve the call now
│   └── ConnectionLost        Till cannot be reached; without a code. Also a ConnectionError
├── TookTooLong          E9   a time-out at Till; without a code, the call's deadline. Also a TimeoutError
├── NoSuchMethod         E10  this Till is older than the client
├── NotActive            E11  the invoice request is disabled or collected
├── Expired              E12  the invoice request has expired
├── Unreachable          E13  no route to the node that made the invoice request
├── Refused              E14  the node that made the invoice request refuses to pay
├── NotPaid              E15  the node that made the invoice request did not pay in time
└── EventsGone           E16  events after the start were removed; `oldest_sequence` is the oldest one left
"""

from enum import StrEnum
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


class Code(StrEnum):
    """The documented codes. A newer Till may send others, which are plain texts."""

    INTERNAL = "E0"
    INVALID_REQUEST = "E1"
    NOT_FOUND = "E2"
    UNAUTHENTICATED = "E3"
    PERMISSION_DENIED = "E4"
    CONFLICT = "E5"
    TOO_LARGE = "E6"
    TOO_MANY = "E7"
    UNAVAILABLE = "E8"
    TOOK_TOO_LONG = "E9"
    NO_SUCH_METHOD = "E10"
    NOT_ACTIVE = "E11"
    EXPIRED = "E12"
    UNREACHABLE = "E13"
    REFUSED = "E14"
    NOT_PAID = "E15"
    EVENTS_GONE = "E16"


class Error(Exception):
    """A call that failed.

    message: Till's message, for people.
    code: the documented code, such as Code.NOT_FOUND, which equals "E2". None if Till did not answer: the
        connection was lost, or the deadline of the call has passed.
    reason: the reason of google.rpc.ErrorInfo, such as "NODE_OFFLINE". None as above.
    status: the name of the gRPC status, such as "NOT_FOUND".
    retry_after: seconds to wait before a retry. None: unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        # With a default, since pickle creates an error from its message alone.
        status: str = "UNKNOWN",
        code: Code | str | None = None,
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
    """Till or its node has a fault; Till's log has the details."""


class InvalidRequest(Error):
    """The request is wrong; the message names the field and the limit."""


class NotFound(Error):
    """The resource does not exist, or belongs to another user."""


class Unauthenticated(Error):
    """The call needs a key, or the key is unknown, expired or revoked."""


class PermissionDenied(Error):
    """The key has no scope for the call, or is for another type."""


class Conflict(Error):
    """The label is in use for another request, or the invoice cannot be canceled; the message says why."""


class TooLarge(Error):
    """A value exceeds a limit in bytes."""


class TooMany(Error):
    """The key exceeds a limit; retry after `retry_after` seconds."""


class Unavailable(Error):
    """The node is offline, or Till cannot serve the call now; retry later."""


class ConnectionLost(Unavailable, ConnectionError):
    """Till cannot be reached, or the connection was lost before the reply."""


class TookTooLong(Error, TimeoutError):
    """The deadline has passed. The outcome of the call is unknown."""


class NoSuchMethod(Error):
    """Till does not have this method; it is older than the client."""


class NotActive(Error):
    """The invoice request is disabled or collected."""


class Expired(Error):
    """The invoice request has expired."""


class Unreachable(Error):
    """No route leads to the node that made the invoice request."""


class Refused(Error):
    """The node that made the invoice request refuses to pay."""


class NotPaid(Error):
    """The node that made the invoice request did not pay in time; this invoice can no longer be paid."""


class EventsGone(Error):
    """Events after the start were removed. List what may have changed, then begin at the oldest one left.

    oldest_sequence: the sequence of the oldest event left. None: unknown, as with all_users.
    """

    oldest_sequence: int | None = None


BY_CODE: dict[str, type[Error]] = {
    Code.INTERNAL: Internal,
    Code.INVALID_REQUEST: InvalidRequest,
    Code.NOT_FOUND: NotFound,
    Code.UNAUTHENTICATED: Unauthenticated,
    Code.PERMISSION_DENIED: PermissionDenied,
    Code.CONFLICT: Conflict,
    Code.TOO_LARGE: TooLarge,
    Code.TOO_MANY: TooMany,
    Code.UNAVAILABLE: Unavailable,
    Code.TOOK_TOO_LONG: TookTooLong,
    Code.NO_SUCH_METHOD: NoSuchMethod,
    Code.NOT_ACTIVE: NotActive,
    Code.EXPIRED: Expired,
    Code.UNREACHABLE: Unreachable,
    Code.REFUSED: Refused,
    Code.NOT_PAID: NotPaid,
    Code.EVENTS_GONE: EventsGone,
}

# Statuses that gRPC or a proxy creates. A stream that is reset, such as by an Envoy whose Till was killed,
# ends with INTERNAL, UNKNOWN or CANCELLED.
WITHOUT_CODE: dict[grpc.StatusCode, type[Error]] = {
    grpc.StatusCode.UNAVAILABLE: ConnectionLost,
    grpc.StatusCode.CANCELLED: ConnectionLost,
    grpc.StatusCode.INTERNAL: ConnectionLost,
    grpc.StatusCode.UNKNOWN: ConnectionLost,
    grpc.StatusCode.DEADLINE_EXCEEDED: TookTooLong,
    grpc.StatusCode.UNIMPLEMENTED: NoSuchMethod,
}


def error_of(failed: Any, proxy: str | None = None) -> Error:
    """Return the Error for a grpc.RpcError. proxy: the proxy of the connection, for the message."""
    status: grpc.StatusCode = failed.code()
    info, retry = ErrorInfo(), RetryInfo()
    for name, value in failed.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                # Unpack ignores a detail of another type.
                detail.Unpack(info)
                detail.Unpack(retry)
    delay = retry.retry_delay.ToTimedelta()
    code = info.metadata.get("code") if info.domain == "till" else None
    kind = BY_CODE.get(code, Error) if code else WITHOUT_CODE.get(status, Error)
    said = failed.details() or status.name
    if kind is ConnectionLost:
        said = f"the connection to Till failed or was lost: {said}"
        if proxy:
            said += f" (through the proxy {proxy}; to bypass it, add Till's host to no_proxy)"
    error = kind(
        said,
        status=status.name,
        code=Code(code) if code and code in BY_CODE else code,
        reason=info.reason if code else None,
        retry_after=delay.total_seconds() if retry.HasField("retry_delay") else None,
    )
    if isinstance(error, EventsGone) and info.metadata["oldest_sequence"].isdecimal():
        error.oldest_sequence = int(info.metadata["oldest_sequence"])
    return error
