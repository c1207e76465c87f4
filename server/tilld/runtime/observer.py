"""Whoever measures hangs on here: metrics and traces do, and what is measured knows of neither."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

Span = AbstractContextManager[Any]
# Read only where they are wanted: reading costs.
Headers = Callable[[], Iterable[tuple[str, str | bytes]] | None]

NOTHING: Span = nullcontext()


class Observer:
    """Is told what begins, and by the context that it gives how that ends. This one does not care."""

    def request(self, method: str, headers: Headers) -> Span:
        """A call of ours: a method such as till.v1.InvoiceService/GetInvoice, until it is answered."""
        return NOTHING

    def watch(self, method: str, headers: Headers) -> Span:
        """A call of ours that is answered by a stream, until its end. Its context may be left elsewhere."""
        return NOTHING

    def node_call(self, method: str) -> Span:
        """A call of lightningd, until its reply."""
        return NOTHING

    def store_call(self, operation: str) -> Span:
        """A read, a write, an insert of a batch, or the adding of one invoice until its batch is written."""
        return NOTHING


NOBODY = Observer()


class Observers(Observer):
    """Several, each told of everything."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def request(self, method: str, headers: Headers) -> Span:
        """Tell all."""
        return _together([each.request(method, headers) for each in self._observers])

    def watch(self, method: str, headers: Headers) -> Span:
        """Tell all."""
        return _together([each.watch(method, headers) for each in self._observers])

    def node_call(self, method: str) -> Span:
        """Tell all."""
        return _together([each.node_call(method) for each in self._observers])

    def store_call(self, operation: str) -> Span:
        """Tell all."""
        return _together([each.store_call(operation) for each in self._observers])


@contextmanager
def _together(spans: Sequence[Span]) -> Iterator[None]:
    with ExitStack() as stack:
        for span in spans:
            stack.enter_context(span)
        yield


def code_of(reason: BaseException | None) -> str:
    """How something ended: OK, the `code` of its error, or CANCELLED. An error that has none is E0."""
    if reason is None:
        return "OK"
    if isinstance(reason, (asyncio.CancelledError, GeneratorExit)):
        return "CANCELLED"
    if isinstance(reason, TimeoutError):
        return "E9"
    code = getattr(type(reason), "code", None)
    return code if isinstance(code, str) else "E0"
