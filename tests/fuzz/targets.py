"""Fuzz targets: functions of bytes that raise AssertionError, or let an exception escape, on a bug."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_origin, get_type_hints
from unittest.mock import patch

import msgspec
from pyln.client import RpcError

from tests.support.samples import NODE_ID, NOON, an_order
from tilld.auth.caller import Creator
from tilld.errors import InvalidRequest, TillError, TooLarge
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.invoices.invoice import Invoice, IssuedInvoice
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.terms import MAX_EXPIRY_SECONDS, InvoiceTerms
from tilld.lightningd.errors import MayExist
from tilld.lightningd.rpc import ConnectionLost
from tilld.rest_api.schemas import create_json, invoice_json

CORPUS = Path(__file__).parent / "corpus"

# Placeholder in a reply for the id of the request, which a seed cannot know.
ID = b'"ID"'
GETINFO = (CORPUS / "reply" / "getinfo").read_bytes()
WHO = json.loads(GETINFO)["result"]["id"]

ORDER = an_order(description="tea")
INVOICE_ID = "PDxIkt9La2h1iG~VTIEcz"
# Each call of a node, and the lightningd method whose reply it reads.
QUESTIONS: list[tuple[str, Callable[[InvoiceNode], Awaitable[object]]]] = [
    ("getinfo", lambda node: node.info()),
    ("invoice", lambda node: node.invoice(INVOICE_ID, ORDER)),
    ("listinvoices", lambda node: node.find(INVOICE_ID)),
    ("listinvoices", lambda node: node.updates(0, 1)),
    ("listinvoices", lambda node: node.invoices(0)),
    ("listinvoices", lambda node: node.description("00" * 32)),
    ("wait", lambda node: node.latest("updated")),
    ("wait", lambda node: node.wait_for_update(WHO, 0)),
]

# The largest integer of SQLite and PostgreSQL.
MAX_BIGINT = 2**63 - 1


def body(raw: bytes) -> None:
    """Check that a body becomes an order within the limits and as written, or a documented error.

    Bytes after the last zero byte, if any, are the header Idempotency-Key.
    """
    document, *key = raw.rsplit(b"\0", 1)
    idempotency_key = key[0].decode(errors="surrogateescape") if key else None
    try:
        order = create_json.create_request(document, idempotency_key).terms
    except (InvalidRequest, TooLarge) as refused:
        assert len(refused.message.encode()) < 400
        return
    asked = {name: each for name, each in _numbers_as_written(document).items() if each is not None}
    _check_limits(order)
    assert order.amount_msat == (None if asked["msat"] == "any" else Decimal(asked["msat"]))
    assert (order.description or "") == asked.get("description", "")
    assert order.expiry == Decimal(asked.get("expiry", 3600))
    assert order.label == asked.get("label", idempotency_key)
    assert _without_space(order.metadata) in _without_space(document.decode())
    assert _numbers_as_written(order.metadata) == asked["metadata"]
    _check_rendered(order, asked)


def _check_limits(order: InvoiceTerms) -> None:
    assert order.amount_msat is None or type(order.amount_msat) is int
    assert order.amount_msat is None or 1 <= order.amount_msat <= MAX_AMOUNT_MSAT
    assert type(order.expiry) is int
    assert 1 <= order.expiry <= MAX_EXPIRY_SECONDS
    assert order.label is None or 1 <= len(order.label.encode()) <= 128
    assert order.description is None or 1 <= len(order.description.encode()) <= 8 * 1024
    assert len(order.metadata.encode()) <= 16 * 1024
    assert isinstance(json.loads(order.metadata, parse_int=str)["type"], str)


def _check_rendered(order: InvoiceTerms, asked: dict[str, Any]) -> None:
    """Check that the invoice is one JSON object with unchanged metadata and whole numbers."""
    issued = IssuedInvoice(NODE_ID, "00" * 32, "lnbcrt1", NOON + timedelta(seconds=order.expiry))
    text = invoice_json.invoice(
        Invoice.opened(order.invoice_id("dakk", b"secret"), Creator("dakk"), order, issued)
    )
    shown = _numbers_as_written(text)
    assert shown["metadata"] == asked["metadata"]
    assert shown["msatoshi"] == (None if asked["msat"] == "any" else str(order.amount_msat))
    assert (shown["status"], shown["created_at"]) == ("unpaid", "2026-11-21T12:00:00.000Z")


def _numbers_as_written(document: bytes | str) -> Any:
    return json.loads(document, parse_int=str, parse_float=str)


def _without_space(text: str) -> str:
    return text.translate(dict.fromkeys(b" \t\r\n"))


def reply(raw: bytes) -> None:
    """Check that any reply, followed by a closed connection, becomes a well-typed record or a Till error.

    Every call of `QUESTIONS` gets the same reply.
    """
    tasks: list[asyncio.Task[Any]] = []
    faults: list[dict[str, Any]] = []

    def noted(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        tasks.append(asyncio.Task(work, loop=loop, **options))
        return tasks[-1]

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.get_loop().set_task_factory(noted)
        runner.get_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        runner.run(_ask_everything(raw))
        assert all(task.done() for task in tasks)
    assert not faults
    for failure in (task.exception() for task in tasks if not task.cancelled()):
        # Any other exception would be lost: nothing awaits this task.
        assert isinstance(failure, ConnectionLost | RpcError | msgspec.ValidationError | None), repr(failure)


async def _ask_everything(raw: bytes) -> None:
    async def connect(method: str, limit: int) -> tuple[asyncio.StreamReader, _NodesEnd]:
        reader = asyncio.StreamReader(limit)
        return reader, _NodesEnd(reader, method, raw)

    with patch("asyncio.open_unix_connection", connect):
        await asyncio.gather(*(_ask(InvoiceNode(Path(method)), ask) for method, ask in QUESTIONS))


async def _ask(node: InvoiceNode, ask: Callable[[InvoiceNode], Awaitable[object]]) -> None:
    try:
        _check_types(await ask(node))
    except (TillError, MayExist):
        pass
    finally:
        await node.close()


class _NodesEnd:
    """The node's end of a connection in memory: answers one method with the fuzzed reply, then closes.

    It answers getinfo correctly, because some calls check the node's identity first.
    """

    def __init__(self, reader: asyncio.StreamReader, method: str, raw: bytes) -> None:
        self._reader = reader
        self._method = method
        self._raw = raw

    def write(self, data: bytes) -> None:
        requests, at = data.decode(), 0
        while at < len(requests):
            request, at = json.JSONDecoder().raw_decode(requests, at)
            self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        is_asked = request["method"] == self._method
        said = self._raw if is_asked else GETINFO
        self._reader.feed_data(said.replace(ID, json.dumps(request["id"]).encode()))
        if is_asked:
            self._reader.feed_eof()

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


def _check_types(found: object) -> None:
    """Check that the values of a record have their annotated types and fit into the database."""
    if isinstance(found, str):
        found.encode()
    elif isinstance(found, int):
        assert 0 <= found <= MAX_BIGINT
    elif hints := get_type_hints(type(found)):
        for name, hint in hints.items():
            value = getattr(found, name)
            assert isinstance(value, get_origin(hint) if get_origin(hint) in (list, tuple) else hint), repr(
                found
            )
            assert not isinstance(value, bool) or hint is bool, repr(found)
            _check_types(value)
    elif isinstance(found, list | tuple):
        for each in found:
            _check_types(each)
