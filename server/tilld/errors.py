"""What can go wrong, each with its documented code.

TillError
├── Internal               E0   a fault of ours
│   └── NodeFailed              the node could not do it
├── InvalidRequest         E1   the request is wrong; the message names the field and the limit
├── NotFound               E2
├── Unauthenticated        E3
├── PermissionDenied       E4
├── Conflict               E5   a label reused for another request
├── TooLarge               E6
├── TooMany                E7
├── Unavailable            E8   the node, or Till itself
│   └── NodeOffline
├── TookTooLong            E9
├── NoSuchMethod           E10
├── NotActive              E11  an invoice request that nobody can collect any more
├── Expired                E12  an invoice request whose time is over
├── Unreachable            E13  there is no way to the other node
├── Refused                E14  the other node refuses; the message has its reason
└── NotPaid                E15  the other node did not pay in time

Every message is for the caller: it says what to do next, and nothing of the inside. OperatorError is for
whoever runs the program.
"""

from typing import ClassVar


class TillError(Exception):
    """An error with a documented code. Its message is sent to the caller as it is."""

    code: ClassVar[str]
    default: ClassVar[str]

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.default)

    @property
    def message(self) -> str:
        """The text for the caller."""
        return str(self.args[0])


class Internal(TillError):
    """A fault of ours."""

    code = "E0"
    default = "internal error; the operator's log has the details"


class NodeFailed(Internal):
    """The node could not do what it was told, and did not do it."""

    default = "the lightning node could not do this; the operator's log has the details"


class InvalidRequest(TillError):
    """The request is wrong."""

    code = "E1"
    default = "invalid request"


class NotFound(TillError):
    """No such thing, or none that the caller may know of."""

    code = "E2"
    default = "resource not found"


class Unauthenticated(TillError):
    """No key, or an unknown one."""

    code = "E3"
    default = "unauthenticated"


class PermissionDenied(TillError):
    """The key may not do this."""

    code = "E4"
    default = "permission denied"


class Conflict(TillError):
    """A label is in use for another request."""

    code = "E5"
    default = "conflict"


class TooLarge(TillError):
    """Something exceeds a limit in bytes."""

    code = "E6"
    default = "request too large"


class TooMany(TillError):
    """More than a key may have. `retry_seconds`: when to try again."""

    code = "E7"
    default = "too many requests"

    def __init__(self, message: str = "", retry_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(TillError):
    """Till can't serve this now."""

    code = "E8"
    default = "service unavailable; try again"


class NodeOffline(Unavailable):
    """The node does not answer."""

    default = "the lightning node is offline; try again later"


class TookTooLong(TillError):
    """A deadline has passed."""

    code = "E9"
    default = "timed out; try again"


class NoSuchMethod(TillError):
    """This path has no such method."""

    code = "E10"
    default = "method not allowed"


class NotActive(TillError):
    """An invoice request is disabled, or was collected."""

    code = "E11"
    default = "the invoice request is not active"


class Expired(TillError):
    """An invoice request's time is over."""

    code = "E12"
    default = "the invoice request has expired; ask the payer for a new one"


class Unreachable(TillError):
    """There is no way to the node that made an invoice request."""

    code = "E13"
    default = "the node that made the invoice request cannot be reached; try again later"


class Refused(TillError):
    """The node that made an invoice request does not pay."""

    code = "E14"
    default = "the node that made the invoice request refuses to pay"


class NotPaid(TillError):
    """The node that made an invoice request did not pay in time, and can't any more."""

    code = "E15"
    default = "the node that made the invoice request did not pay in time; try again"


class OperatorError(Exception):
    """Ends the program. The message is one line that says what is wrong and what to do."""
