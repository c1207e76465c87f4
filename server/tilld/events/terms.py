"""The terms of a list or a stream of events. Pure."""

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from tilld.auth.caller import Caller, Scope
from tilld.errors import InvalidRequest, PermissionDenied
from tilld.event_log.entry import ALL_USERS, EventType
from tilld.events.event import OF_INVOICES, OF_INVREQS
from tilld.formats.text import check_text
from tilld.invoices.terms import MAX_METADATA_BYTES

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


class Place(StrEnum):
    """A place in a log: before the oldest event that is left, or behind the newest one."""

    BEGINNING = "beginning"
    NOW = "now"


class Cursor(NamedTuple):
    """A cursor of the log of all users, as the caller sent it."""

    token: str


# Where to begin: behind a sequence of the caller's log, at a place, or at a cursor.
Start = int | Place | Cursor


class View(NamedTuple):
    """The part of a log that a reader sees: nothing without `types`."""

    username: str
    types: frozenset[EventType]
    metadata_type: str | None
    with_preimages: bool

    @property
    def is_of_all(self) -> bool:
        """True for the log of all users."""
        return self.username == ALL_USERS


@dataclass(frozen=True, slots=True)
class EventTerms:
    """A validated request for events. Empty `types`: every type. `start_name` is the caller's field."""

    start: Start
    types: frozenset[EventType]
    metadata_type: str | None
    all_users: bool
    page_size: int
    start_name: str

    @classmethod
    def checked(
        cls,
        start: Start,
        types: Iterable[str] = (),
        metadata_type: str | None = None,
        *,
        all_users: bool = False,
        page_size: int | None = None,
        size_name: str = "page_size",
        start_name: str = "after",
    ) -> Self:
        """Return a request, checked against the limits.

        `size_name` and `start_name` are the caller's names of two fields. Raises InvalidRequest or TooLarge,
        which name the field.
        """
        if page_size is not None and page_size < 0:
            raise InvalidRequest(f"{size_name} must not be negative")
        if metadata_type is not None:
            check_text(metadata_type, "metadata_type", MAX_METADATA_BYTES)
        if all_users and isinstance(start, int):
            raise InvalidRequest(f"{start_name} must be a cursor with all_users: sequences are per user")
        if not all_users and isinstance(start, Cursor):
            raise InvalidRequest("a cursor needs all_users; without it, use the sequence of an event")
        return cls(
            start,
            frozenset(map(_event_type, types)),
            metadata_type,
            all_users,
            min(page_size or PAGE_SIZE, MAX_PAGE_SIZE),
            start_name,
        )

    def view(self, caller: Caller) -> View:
        """Return what the caller sees.

        Raises PermissionDenied for a watch token, and for the logs of all users without the scope admin.
        """
        if caller.invoice_id:
            raise PermissionDenied("a watch token watches one invoice; use a key for events")
        if self.all_users and Scope.ADMIN not in caller.scopes:
            raise PermissionDenied(
                "the key lacks the scope admin, which all_users needs; use a key that has it"
            )
        types = self.types or frozenset(EventType)
        if Scope.PAYOUTS not in caller.scopes:
            # Anyone who has the string of an invoice request can collect it.
            types -= OF_INVREQS
        metadata_type = self.metadata_type
        if caller.type is not None:
            if metadata_type not in (None, caller.type):
                types = frozenset()
            metadata_type = caller.type
        if metadata_type is not None:
            types &= OF_INVOICES
        username = ALL_USERS if self.all_users else caller.username
        return View(username, types, metadata_type, Scope.READ in caller.scopes)


def _event_type(text: str) -> EventType:
    try:
        return EventType(text)
    except ValueError:
        raise InvalidRequest(
            f"types has {reprlib.repr(text)}; the types are {', '.join(EventType)}"
        ) from None
