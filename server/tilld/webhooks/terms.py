"""The terms of a webhook that a caller requests. Pure."""

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass

from tilld.auth.caller import Caller, Scope
from tilld.errors import InvalidRequest, PermissionDenied
from tilld.event_log.entry import EventType
from tilld.events.event import OF_INVREQS


@dataclass(frozen=True, slots=True)
class WebhookTerms:
    """A validated request for a webhook. Empty `types`: every type."""

    url: str
    types: tuple[str, ...]


def checked_types(caller: Caller, types: Iterable[str]) -> tuple[str, ...]:
    """Return types of events that the caller may receive, in the order of EventType.

    Raises InvalidRequest; PermissionDenied.
    """
    asked = set(types)
    if unknown := sorted(asked - set(EventType)):
        raise InvalidRequest(f"types has {reprlib.repr(unknown[0])}; the types are {', '.join(EventType)}")
    if asked & OF_INVREQS and Scope.PAYOUTS not in caller.scopes:
        # Anyone who has the string of an invoice request can collect it.
        raise PermissionDenied(
            "the key lacks the scope payouts, which events of invoice requests need; use a key that has it"
        )
    return tuple(kind for kind in EventType if kind in asked)
