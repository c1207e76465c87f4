"""The Python client, sync and async: results and errors."""

import asyncio
import pickle
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import till
from tests.support.authority import Authority
from tests.support.keys import make_key
from tests.support.shop import config
from till.v1.key_service_pb2 import CreateKeyRequest, ListKeysRequest
from tilld.app import Till

SHOP = {"type": "shop"}


async def test_an_invoice_has_the_requested_fields(client: till.AsyncClient) -> None:
    metadata = {"type": "shop", "order": 2**70, "für": ["a", None, {"b": 1.5}]}

    invoice = await client.create_invoice(
        5000, metadata, description="ein Kaffee ☕", expiry=timedelta(minutes=5)
    )

    assert (invoice.amount_msat, invoice.description, invoice.username) == (
        5000,
        "ein Kaffee ☕",
        "anonymous",
    )
    assert invoice.status is till.Status.UNPAID
    assert invoice.payment is None
    assert invoice.bolt11.startswith("lnbcrt")
    assert invoice.metadata == metadata
    assert invoice.created_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - invoice.created_at) < timedelta(seconds=30)
    assert invoice.expires_at - invoice.created_at == timedelta(minutes=5)


async def test_a_new_invoice_says_whether_it_can_be_paid(client: till.AsyncClient) -> None:
    usual = await client.create_invoice(
        5000, SHOP, description="a coffee", expose_private_channels=False, description_hash_only=True
    )
    large = await client.create_invoice(10**17, SHOP)

    assert usual.payability == till.Payability(status=till.PayabilityStatus.OK, detail="")
    assert large.payability
    assert large.payability.status is till.PayabilityStatus.INSUFFICIENT
    assert "capacity" in large.payability.detail
    assert (await client.get_invoice(large.invoice_id)).payability is None


async def test_amounts_are_exact_and_may_be_absent(client: till.AsyncClient) -> None:
    largest = await client.create_invoice(2**64 // 10, SHOP)
    odd = await client.create_invoice(2**53 + 1, SHOP)
    any_amount = await client.create_invoice(None, SHOP)

    assert (largest.amount_msat, odd.amount_msat) == (2**64 // 10, 2**53 + 1)
    assert any_amount.amount_msat is None


async def test_an_invoice_is_found_by_each_of_its_names(client: till.AsyncClient) -> None:
    created = await client.create_invoice(5000, SHOP)

    assert await client.get_invoice(created.invoice_id) == created
    for name in ("id", "label", "payment_hash", "bolt11"):
        assert await client.get_invoice(**{name: getattr(created, name)}) == created


@pytest.mark.parametrize("names", [{}, {"id": "a", "label": "b"}, {"label": "b", "with_watch_token": True}])
async def test_a_lookup_takes_exactly_one_name(client: till.AsyncClient, names: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        await client.get_invoice(**names)


async def test_the_same_label_and_request_give_the_same_invoice(
    client: till.AsyncClient, connect: type[till.AsyncClient]
) -> None:
    label = f"order-{connect.__name__}"
    created = await client.create_invoice(5000, SHOP, label=label)

    assert await client.create_invoice(5000, SHOP, label=label) == created
    with pytest.raises(till.Conflict) as refused:
        await client.create_invoice(6000, SHOP, label=label)

    error = refused.value
    assert (error.code, error.reason, error.status) == ("E5", "CONFLICT", "ALREADY_EXISTS")
    assert "amount" in error.message
    assert str(error) == f"E5: {error.message}"
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


async def test_without_a_label_each_create_makes_an_invoice_of_its_own(client: till.AsyncClient) -> None:
    one, other = [await client.create_invoice(5000, SHOP) for _ in range(2)]

    assert one.invoice_id != other.invoice_id


async def test_errors_are_known_by_their_code(client: till.AsyncClient) -> None:
    with pytest.raises(till.NotFound) as missing:
        await client.get_invoice("a" * 21)
    with pytest.raises(till.InvalidRequest) as wrong:
        await client.create_invoice(0, SHOP)
    with pytest.raises(till.PermissionDenied) as denied:
        await client.call(client.keys.ListKeys, ListKeysRequest())

    codes = [raised.value.code for raised in (missing, wrong, denied)]
    assert codes == ["E2", "E1", "E4"]
    assert all(isinstance(raised.value, till.Error) for raised in (missing, wrong, denied))


async def test_a_limit_error_has_the_time_to_retry_after(
    connect: type[till.AsyncClient], tmp_path: Path
) -> None:
    async with Till(config(tmp_path, no_rest=True, key_open_invoices=1)) as other:
        async with connect(str(other.running.grpc)) as client:
            await client.create_invoice(5000, SHOP)

            with pytest.raises(till.TooMany) as refused:
                await client.create_invoice(5000, SHOP)

    assert refused.value.code == "E7"
    assert refused.value.retry_after


async def test_a_refused_connection_is_reported_as_lost(connect: type[till.AsyncClient]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with connect("{}:{}".format(*unused.getsockname())) as client:
            with pytest.raises(till.ConnectionLost) as lost:
                await client.info(timeout=0.3)

    assert (lost.value.code, lost.value.status) == (None, "UNAVAILABLE")


async def test_a_call_ends_at_its_deadline(connect: type[till.AsyncClient]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with connect("{}:{}".format(*silent.getsockname()), timeout=0.2) as client:
            with pytest.raises(till.TookTooLong) as late:
                await client.info()

    assert (late.value.code, late.value.status) == (None, "DEADLINE_EXCEEDED")


async def test_keys_and_watch_tokens_travel_over_tls(connect: type[till.AsyncClient], tmp_path: Path) -> None:
    authority = Authority()
    ca = authority.write(tmp_path / "ca.pem")
    pair = authority.issue(tmp_path / "pair")
    settings = {"no_rest": True, "tls_client_ca": ca, **pair.flags()}
    async with Till(config(tmp_path / "till", **settings)) as secure:
        address = str(secure.running.grpc)
        header = await make_key(
            tmp_path / "till", "--username", "boss", "--scope", "admin", "--scope", "info:read"
        )
        key = header["authorization"].removeprefix("Bearer ")
        cert = (pair.tls_cert, str(pair.tls_key))

        async with connect(address, key, ca=ca, cert=cert) as client:
            assert (await client.info()).online
            made = await client.call(client.keys.CreateKey, CreateKeyRequest(username="shop"))
        async with connect(address, made.token, ca=str(ca), cert=cert) as client:
            invoice = await client.create_invoice(5000, SHOP, with_watch_token=True)
            assert invoice.username == "shop"
            assert invoice.watch_token
            assert invoice.watch_token not in repr(invoice)
            assert (await client.get_invoice(invoice.invoice_id, with_watch_token=True)).watch_token
        async with connect(address, invoice.watch_token, ca=ca, cert=cert) as payers:
            assert (await anext(aiter(payers.watch(invoice)))).status is till.Status.UNPAID
            with pytest.raises(till.PermissionDenied):
                await payers.info()
        async with connect(address, key + "x", ca=ca, cert=cert) as client:
            with pytest.raises(till.Unauthenticated):
                await client.info()
        async with connect(address, key, tls=True) as client:
            with pytest.raises(till.ConnectionLost):
                await client.info(timeout=0.3)


@pytest.mark.parametrize("key", ["till_…", "till_a\nb", "Bearer till_a"])
async def test_a_malformed_key_is_rejected_immediately(connect: type[till.AsyncClient], key: str) -> None:
    """gRPC would report it as a lost connection, which a watch retries until cancelled."""
    with pytest.raises(ValueError, match="a key has printable ASCII only"):
        connect("127.0.0.1:1", key)


async def test_a_key_may_end_with_a_newline(connect: type[till.AsyncClient], address: str) -> None:
    async with connect(address, "till_a\n") as client:
        assert (await client.info()).online


async def test_info_describes_the_node(client: till.AsyncClient) -> None:
    info = await client.info()

    assert info.online
    assert info.node
    assert info.node.alias == "till-simulated"
    assert info.node.address == ()
    assert info.volume_out_msat == 0


async def test_a_watch_sees_the_payment_and_ends(
    client: till.AsyncClient, pay: Callable[..., Awaitable[None]]
) -> None:
    invoice = await client.create_invoice(None, SHOP)
    seen = []
    async for state in client.watch(invoice):
        seen.append(state.status)
        if state.status is till.Status.UNPAID:
            await pay(invoice, 7000)

    assert seen == ["unpaid", "paid"]
    assert state.payment
    assert state.payment.amount_received_msat == 7000
    assert state.payment.pay_index > 0
    assert state.payment.paid_at >= invoice.created_at
    assert [state] == [each async for each in client.watch(invoice.invoice_id)]


async def test_a_watch_ends_when_the_invoice_expires(client: till.AsyncClient) -> None:
    invoice = await client.create_invoice(5000, SHOP, expiry=1)

    *_, last = [state.status async for state in client.watch(invoice)]

    assert last is till.Status.EXPIRED


async def test_a_watch_ends_at_its_deadline(client: till.AsyncClient) -> None:
    invoice = await client.create_invoice(5000, SHOP)

    with pytest.raises(till.TookTooLong):
        _ = [state async for state in client.watch(invoice, timeout=0.3)]


async def test_a_watch_can_be_cancelled(address: str) -> None:
    """Cancelling a task that watches leaves the client usable."""
    async with till.AsyncClient(address) as client:
        invoice = await client.create_invoice(5000, SHOP)
        states = client.watch(invoice)
        await anext(states)
        waiting = asyncio.ensure_future(anext(states))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert await client.get_invoice(invoice.invoice_id) == invoice
