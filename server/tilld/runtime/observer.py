"""Instrumentation port. Metrics and tracing implement it; the code that they measure depends on neither."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

Span = AbstractContextManager[Any]
# A function, since reading the headers is slow and few observers need them.
Headers = Callable[[], Iterable[tuple[str, str | bytes]] | None]

NOTHING: Span = nullcontext()


class Observer:
    """Returns a context for each operation, which sees its beginning and its end. This class does nothing."""

    def request(self, method: str, headers: Headers) -> Span:
        """Return a context for a unary call to Till, such as till.v1.InvoiceService/GetInvoice."""
        return NOTHING

    def watch(self, method: str, headers: Headers) -> Span:
        """Return a context for a call with a stream of responses.

        It may exit in another contextvars context than it entered.
        """
        return NOTHING

    def node_call(self, method: str) -> Span:
        """Return a context for a call to lightningd, until its reply."""
        return NOTHING

    def store_call(self, operation: str) -> Span:
        """Return a context for an operation of the store: read, scan, write, batch or add.

        An add is one invoice, until its batch is written.
        """
        return NOTHING


NOBODY = Observer()


class Observers(Observer):
    """Several observers, each of which sees every operation."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def request(self, method: str, headers: Headers) -> Span:
        """Return a context that enters those of all observers."""
        return _together([each.request(method, headers) for each in self._observers])

    def watch(self, method: str, headers: Headers) -> Span:
        """Return a context that enters those of all observers."""
        return _together([each.watch(method, headers) for each in self._observers])

    def node_call(self, method: str) -> Span:
        """Return a context that enters those of all observers."""
        return _together([each.node_call(method) for each in self._observers])

    def store_call(self, operation: str) -> Span:
        """Return a context that enters those of all observers."""
        return _together([each.store_call(operation) for each in self._observers])


@contextmanager
def _together(spans: Sequence[Span]) -> Iterator[None]:
    with ExitStack() as stack:
        for span in spans:
            stack.enter_context(span)
        yield


def code_of(reason: BaseException | None) -> str:
    """Return how an operation ended: OK, CANCELLED, or the error's `code`, by default E0."""
    if reason is None:
        return "OK"
    if isinstance(reason, (asyncio.CancelledError, GeneratorExit)):
        return "CANCELLED"
    if isinstance(reason, TimeoutError):
        return "E9"
    code = getattr(type(reason), "code", None)
    return code if isinstance(code, str) else "E0"
