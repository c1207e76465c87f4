"""The reply of a command: a result, or an error."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeAlias

Result: TypeAlias = dict[str, Any]


class Code(IntEnum):
    """lightningd's error codes."""

    UNKNOWN_COMMAND = -32601
    INVALID_PARAMS = -32602
    INVALID_REQUEST = -32600
    FAILED = -1
    UNEXPECTED = -3
    DESTINATION_REFUSED = 203
    NO_ROUTE = 205
    INVOICE_EXPIRED = 207
    OUT_OF_ROUTES = 210
    ALREADY_PAID = 219
    DUPLICATE_LABEL = 900
    DUPLICATE_PREIMAGE = 901
    NO_SUITABLE_HINTS = 902
    EXPIRED_DURING_WAIT = 903
    WAIT_TIMED_OUT = 904
    UNKNOWN_INVOICE = 905
    UNEXPECTED_STATUS = 906
    NO_DESCRIPTION = 908
    OFFER_EXISTS = 1000
    NOT_ACTIVE = 1001
    PAYER_UNREACHABLE = 1003
    PAYER_REFUSED = 1004
    PAYER_SILENT = 1005
    ALREADY_ACTIVE = 1006


class RpcError(Exception):
    """An error for the caller, with lightningd's message."""

    def __init__(
        self,
        code: Code,
        message: str,
        data: Mapping[str, Any] | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> None:
        """Create the error. `beside` holds additional members, as lightningd's plugins add them."""
        super().__init__(message)
        self.beside = beside or {}
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """Return the error as JSON-RPC."""
        shown: dict[str, Any] = {"code": int(self.code), "message": self.message, **self.beside}
        return shown if self.data is None else {**shown, "data": self.data}


class NodeAborted(Exception):
    """Raised where lightningd's process would abort without a reply."""
