"""Splitting a stream into requests, and reading their parameters."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_simulator import Simulator
from lightningd_simulator.rpc import values
from lightningd_simulator.rpc.requests import Inbox, Object, Value, as_written
from tests.support.rpc import Rpc, connected

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), JSON), max_size=4), st.booleans(), st.data())
def test_messages_survive_any_cut(messages: list[dict[str, Any]], ascii_only: bool, data: Any) -> None:
    """Messages that are split at any byte are read complete and unchanged."""
    texts = [json.dumps({**message, "jsonrpc": "2.0"}, ensure_ascii=ascii_only) for message in messages]
    stream = data.draw(st.sampled_from(["", " ", "\n\n"])).join(texts).encode(errors="replace")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))

    inbox, found = Inbox(), list[Value]()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        inbox.feed(stream[start:end])
        found += inbox

    expected = [json.loads(text.encode(errors="replace")) for text in texts]
    assert [json.loads(as_written(message)) for message in found] == expected


async def test_one_byte_at_a_time(rpc: Rpc) -> None:
    """A request may arrive byte by byte."""
    description = 'a\\"b}{\\\\ \\n é'
    text = (
        '{"jsonrpc":"2.0","id":1,"method":"invoice","params":'
        f'{{"amount_msat":1,"label":"x","description":"{description}"}}}}'
    )
    for byte in text.encode():
        rpc.write(bytes([byte]))

    assert (await rpc.next_reply())["result"]["created_index"] == 1
    listed = await rpc.result("listinvoices")
    assert listed["invoices"][0]["description"] == 'a"b}{\\ \n é'


async def test_replies_come_in_any_order(rpc: Rpc) -> None:
    """A request that blocks does not delay later ones."""
    waiting = rpc.send("waitanyinvoice", {"lastpay_index": 0})
    making = rpc.send("invoice", {"amount_msat": 1, "label": "x", "description": "d"})

    made = await rpc.next_reply()
    assert made["id"] == making
    paying = rpc.send("xpay", {"invstring": made["result"]["bolt11"]})

    assert [(await rpc.next_reply())["id"] for _ in range(2)] == [paying, waiting]


async def test_a_request_of_16_mib(rpc: Rpc) -> None:
    params = {"amount_msat": 1, "label": "x", "description": "é" * 2**23, "deschashonly": True}

    assert await rpc.call("invoice", params)
    assert (await rpc.result("listinvoices"))["invoices"][0]["description"] == params["description"]


async def test_a_thousand_requests_in_one_write(rpc: Rpc) -> None:
    """All are answered, also when the client reads only afterwards."""
    numbers = [rpc.send("getinfo") for _ in range(1000)]

    assert [(await rpc.next_reply())["id"] for _ in numbers] == numbers


async def test_nothing_is_read_after_malformed_json(node: Simulator, rpc: Rpc) -> None:
    """One error without an id, then no more replies on this connection; others are unaffected."""
    rpc.write(b'}{"jsonrpc":"2.0","id":1,"method":"getinfo","params":{}}')

    reply = await rpc.next_reply()
    assert (reply["id"], reply["error"]["code"]) == (None, -32600)
    rpc.send("stop")
    async with connected(node.rpc_file) as other:
        assert await other.result("getinfo")


@pytest.mark.parametrize("written", ["7", "-7", '"a/1"', '"\\u00e9"', "null", "true", "1e3"])
async def test_an_id_comes_back_as_it_was_written(written: str, rpc: Rpc) -> None:
    """Strings and primitives are valid ids."""
    rpc.write(f'{{"jsonrpc":"2.0","id":{written},"method":"getinfo","params":[]}}'.encode())

    assert (await rpc.next_reply())["id"] == json.loads(written)


async def test_an_unpaired_surrogate_in_a_label(rpc: Rpc) -> None:
    """A label may contain an unpaired surrogate, and is returned unchanged."""
    rpc.write(
        b'{"jsonrpc":"2.0","id":0,"method":"invoice",'
        b'"params":{"amount_msat":1,"label":"a\\ud800","description":"d"}}'
    )
    assert "result" in await rpc.next_reply()

    assert (await rpc.result("listinvoices"))["invoices"][0]["label"] == "a\ud800"


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ([1000, "x", "d", 60, [], None, False, 1, True, None], "too many parameters: got 10, expected 9"),
        ([1000, "x", "d", None, None, "00"], "preimage: should be 64 hex digits: invalid token (see logs"),
        ({"amount_msat": 1, "label": "x", "description": "d", "cltv": -1}, "cltv: should be an integer"),
        ({"amount_msat": 1, "label": "x", "description": "d", "deschashonly": "true"}, "should be 'true' or"),
        ({"amount_msat": 1, "label": "x", "description": "d", "exposeprivatechannels": 7}, "of form NxNxN"),
        ({"amount_msat": 1, "label": "x", "description": "d", "fallbacks": "bcrt1"}, "should be an array"),
    ],
)
async def test_wrong_parameters(params: Any, problem: str, rpc: Rpc) -> None:
    """The error names the parameter and the expected value."""
    error = (await rpc.call("invoice", params))["error"]

    assert error["code"] == -32602
    assert problem in error["message"]


async def test_check_does_not_run_the_command(rpc: Rpc) -> None:
    params = {"command_to_check": "invoice", "amount_msat": 1, "label": "x", "description": "d"}

    assert await rpc.result("check", **params) == {"command_to_check": "invoice"}
    assert await rpc.result("listinvoices") == {"invoices": []}
    missing = await rpc.call("check", ["invoice", 1])
    assert missing["error"]["message"] == "missing required parameter: label"


@pytest.mark.parametrize(
    ("written", "amount_msat"),
    [
        ("1", 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", None),
        ("7sat", 7000),
        ("0.1sat", None),
        ("0.00000000001btc", 1),
        ("0.000000000001btc", None),
        ("123456.78901234567btc", 12345678901234567),
        ("21000000btc", 21 * 10**17),
        ("btc", None),
        ("1e3", None),
        ("1.0", None),
        ("0x10", None),
        ("9" * 5000, None),
    ],
)
def test_amounts_are_exact(written: str, amount_msat: int | None) -> None:
    """Every form of an amount is read to the millisatoshi, or rejected."""
    if amount_msat is None:
        with pytest.raises(ValueError, match="should be a millisatoshi amount"):
            values.msat(written)
    else:
        assert values.msat(written) == amount_msat


def test_duplicate_members_are_kept() -> None:
    """Keeping both lets the caller reject a duplicate parameter."""
    inbox = Inbox()
    inbox.feed(b'{"jsonrpc":"2.0","a":1,"a":2}')

    [message] = inbox
    assert isinstance(message, Object)
    assert message.pairs == [("jsonrpc", "2.0"), ("a", "1"), ("a", "2")]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ({}, "all"),
        ({"invoices": True}, "all"),
        ({"invoices": [{}]}, {}),
        ({"invoices": [True]}, {}),
        (
            {"invoices": [{"status": True, "no_such": True, "label": True}]},
            {"label": "x", "status": "unpaid"},
        ),
        ({"invoices": [{"label": {"deeper": True}}]}, {"label": "x"}),
        ({"invoices": [[True]]}, {}),
        ({"invoices": {"label": True}}, None),
    ],
)
async def test_a_filter_selects_fields(wanted: Any, given: Any, rpc: Rpc) -> None:
    """Other fields are omitted; a filter for another type selects an empty value."""
    await rpc.result("invoice", amount_msat=1, label="x", description="é" * 1_000_000, deschashonly=True)
    [whole] = (await rpc.result("listinvoices"))["invoices"]

    request = {"jsonrpc": "2.0", "id": "f", "method": "listinvoices", "params": {}, "filter": wanted}
    rpc.write(json.dumps(request).encode())

    found = (await rpc.next_reply())["result"]["invoices"]
    assert found == ([] if given is None else [whole if given == "all" else given])


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        # Seen with lightningd v26.06.6: true for an object selects only members that are objects or arrays.
        ({"details": True}, {"details": {}}),
        ({"details": {"status": True}}, {"details": {"status": "unpaid"}}),
        ({"deleted": True}, {"deleted": 1}),
    ],
)
async def test_true_selects_no_member_of_an_object(wanted: Any, given: Any, rpc: Rpc) -> None:
    await rpc.result("invoice", amount_msat=1, label="x", description="")
    params = {"subsystem": "invoices", "indexname": "deleted", "nextvalue": 1}
    request = {"jsonrpc": "2.0", "id": "w", "method": "wait", "params": params, "filter": wanted}
    rpc.write(json.dumps(request).encode())
    rpc.write(
        json.dumps({"jsonrpc": "2.0", "id": "d", "method": "delinvoice", "params": ["x", "unpaid"]}).encode()
    )

    replies = [await rpc.next_reply() for _ in range(2)]
    assert next(each["result"] for each in replies if each["id"] == "w") == given


async def test_the_result_of_a_wait_is_filtered(rpc: Rpc) -> None:
    request = {"jsonrpc": "2.0", "id": 0, "method": "waitanyinvoice", "params": {}}
    rpc.write(json.dumps(request | {"filter": {"status": True, "bolt11": False}}).encode())
    assert "value must be true" in (await rpc.next_reply())["error"]["message"]
    rpc.write(json.dumps(request | {"filter": {"status": True}}).encode())
    made = await rpc.result("invoice", amount_msat=1, label="x", description="d")

    await rpc.result("xpay", invstring=made["bolt11"])

    assert (await rpc.reply_to(0))["result"] == {"status": "paid"}


@pytest.mark.parametrize(
    "wrong", [True, None, "invoices", {"invoices": 1}, {"invoices": []}, {"a": [{}, {}]}]
)
async def test_a_malformed_filter_is_refused(wrong: Any, rpc: Rpc) -> None:
    rpc.write(
        json.dumps({"jsonrpc": "2.0", "id": 0, "method": "stop", "params": {}, "filter": wrong}).encode()
    )

    error = (await rpc.next_reply())["error"]
    assert error["code"] == -32602
    assert re.fullmatch(r"filter: .*: invalid token '.*'", error["message"])
    assert "id" in await rpc.result("getinfo")
