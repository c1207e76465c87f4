"""The node's estimate of whether a new invoice can be paid. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Self

MAX_DETAIL_CHARACTERS = 200


class PayabilityStatus(StrEnum):
    """Whether payers can reach the node with an invoice's amount."""

    OK = "ok"
    INSUFFICIENT = "insufficient"
    OFFLINE = "offline"
    PRIVATE_ONLY = "private_only"
    UNKNOWN = "unknown"


class Payability(NamedTuple):
    """An estimate. `detail` tells the operator what is wrong and what helps, and is empty if nothing is."""

    status: PayabilityStatus
    detail: str = ""

    @classmethod
    def of(cls, reply: Mapping[str, object]) -> Self:
        """Return the estimate in the reply to lightning-invoice(7), whose warnings begin with "warning_"."""
        warnings = {name: text for name, text in reply.items() if name.startswith("warning_")}
        for name, (status, detail) in _PROBLEMS.items():
            if name in warnings:
                return cls(status, detail)
        for name, text in warnings.items():
            if name != _SEVERAL_PARTS:
                return cls(
                    PayabilityStatus.UNKNOWN, f'lightningd warns: "{str(text)[:MAX_DETAIL_CHARACTERS]}"'
                )
        return cls(PayabilityStatus.OK, _IN_PARTS if warnings else "")


# The worst first: lightningd may send several.
_PROBLEMS = {
    "warning_capacity": (
        PayabilityStatus.INSUFFICIENT,
        "all channels together cannot receive the amount; get more incoming capacity",
    ),
    "warning_deadends": (
        PayabilityStatus.INSUFFICIENT,
        "the amount needs channels whose peers payers cannot reach; open one with a well-connected node",
    ),
    "warning_private_unused": (
        PayabilityStatus.PRIVATE_ONLY,
        "the amount needs private channels; set expose_private_channels to name them to the payer",
    ),
    "warning_offline": (
        PayabilityStatus.OFFLINE,
        "the amount needs channels whose peers are offline; reconnect these peers",
    ),
    "warning_listincoming": (
        PayabilityStatus.UNKNOWN,
        "lightningd has no command listincoming, so it cannot estimate; enable its plugin topology",
    ),
}
_SEVERAL_PARTS = "warning_mpp"
_IN_PARTS = "no single channel can receive the amount; the payer must pay in several parts"

EXISTED = Payability(
    PayabilityStatus.UNKNOWN, "the invoice existed before; lightningd estimates only when it creates one"
)
