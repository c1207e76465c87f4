"""Errors with documented codes.

TillError
├── Internal               E0   a bug, or a failure of the node
│   └── NodeFailed              the node could not do a call
├── InvalidRequest         E1   the request is invalid; the message names the field and the limit
├── NotFound               E2
├── Unauthenticated        E3
├── PermissionDenied       E4
├── Conflict               E5   a label reused for a different request
├── TooLarge               E6
├── TooMany                E7
├── Unavailable            E8   the node, the store or Till
│   └── NodeOffline
├── TookTooLong            E9
├── NoSuchMethod           E10
├── NotActive              E11  an invoice request that was disabled or collected
├── Expired                E12  an expired invoice request
├── Unreachable            E13  no route to the other node
├── Refused                E14  the other node refuses; the message has its reason
├── NotPaid                E15  the other node did not pay in time
└── EventsGone             E16  events after the cursor were removed

Messages are for callers: what is wrong, and what to do, without internals.
Messages of OperatorError are for the operator.
"""

from collections.abc import Mapping
from typing import ClassVar


class TillError(Exception):
    """An error with a documented code. Its message is sent to the caller unchanged."""

    code: ClassVar[str]
    default: ClassVar[str]
    # lightningd's number for the same error, in lightning-sendinvoice(7).
    lightningd_code: ClassVar[int | None] = None

    def __init__(self, message: str = "", **facts: str) -> None:
        super().__init__(message or self.default)
        # For programs, beside the message.
        self.facts: Mapping[str, str] = facts

    @property
    def message(self) -> str:
        """The message for the caller."""
        return str(self.args[0])


class Internal(TillError):
    """A bug in Till, or a failure that the log explains."""

    code = "E0"
    default = "internal error; the operator's log has the details"


class NodeFailed(Internal):
    """The node could not do a call, and did not do any of it."""

    default = "the lightning node could not do this; the operator's log has the details"


class InvalidRequest(TillError):
    """The request is invalid."""

    code = "E1"
    default = "invalid request"


class NotFound(TillError):
    """The resource does not exist, or not for this caller."""

    code = "E2"
    default = "resource not found"


class Unauthenticated(TillError):
    """The key is missing or invalid."""

    code = "E3"
    default = "unauthenticated"


class PermissionDenied(TillError):
    """The key does not permit the call."""

    code = "E4"
    default = "permission denied"


class Conflict(TillError):
    """The label is in use for a different request."""

    code = "E5"
    default = "conflict"


class TooLarge(TillError):
    """The request, or a field, exceeds a limit in bytes."""

    code = "E6"
    default = "request too large"


class TooMany(TillError):
    """A limit of the key is exceeded. The caller may retry after `retry_seconds`."""

    code = "E7"
    default = "too many requests"

    def __init__(self, message: str = "", retry_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(TillError):
    """Till cannot serve the call now."""

    code = "E8"
    default = "service unavailable; try again"


class NodeOffline(Unavailable):
    """The node does not answer."""

    default = "the lightning node is offline; try again later"


class TookTooLong(TillError):
    """The call timed out."""

    code = "E9"
    default = "timed out; try again"


class NoSuchMethod(TillError):
    """The path does not support the HTTP method."""

    code = "E10"
    default = "method not allowed"


class NotActive(TillError):
    """The invoice request was disabled or collected."""

    code = "E11"
    lightningd_code = 1001
    default = "the invoice request is not active"


class Expired(TillError):
    """The invoice request has expired."""

    code = "E12"
    lightningd_code = 1002
    default = "the invoice request has expired; ask the payer for a new one"


class Unreachable(TillError):
    """The node that made the invoice request cannot be reached."""

    code = "E13"
    lightningd_code = 1003
    default = "the node that made the invoice request cannot be reached; try again later"


class Refused(TillError):
    """The node that made the invoice request refuses to pay."""

    code = "E14"
    lightningd_code = 1004
    default = "the node that made the invoice request refuses to pay"


class NotPaid(TillError):
    """The node that made the invoice request did not pay in time, and no longer can."""

    code = "E15"
    lightningd_code = 1005
    default = "the node that made the invoice request did not pay in time; try again"


class EventsGone(TillError):
    """Events after the caller's cursor were removed."""

    code = "E16"
    default = (
        "events after this cursor were removed; continue from the beginning, and list what may have changed"
    )


class OperatorError(Exception):
    """An error that ends the program. The message is one line: what is wrong, and what to do."""
