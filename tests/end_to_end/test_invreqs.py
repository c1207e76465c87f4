"""Payouts: invoice requests over REST through the real Envoy and over gRPC, until they are collected."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from lightningd_simulator import Simulator
from tests.support.keys import make_key
from tests.support.nodes import LIGHTNINGD, real_node
from tests.support.rpc import connected
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2 as invoices_pb
from till.v1 import invreq_service_pb2 as pb
from till.v1.invreq_pb2 import INVREQ_STATUS_ACTIVE, INVREQ_STATUS_DISABLED
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from tilld.config import USUAL
from tilld.formats.amounts import FORMS

CREATE = "/lightning/invoicerequest/create"
LIST = "/lightning/invoicerequests"
GOOD = {"amount": 1000, "description": "d"}


class Cashier:
    """A caller with the scope payouts, and a node that collects."""

    def __init__(self, shop: Shop, header: dict[str, str], collector: Path) -> None:
        self.shop = shop
        self.rest = shop.rest
        self.header = header
        self.collector = collector
        self.invreqs = InvreqServiceStub(shop.channel)
        self.metadata = tuple(header.items())

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.rest.post(path, headers=self.header, **body)

    async def get(self, path: str) -> httpx.Response:
        return await self.rest.get(path, headers=self.header)

    async def create(self, **fields: Any) -> Any:
        reply = await self.post(CREATE, json=GOOD | fields)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def read(self, invreq_id: str) -> Any:
        return (await self.get(f"/lightning/invoicerequest/{invreq_id}")).json()

    async def disable(self, invreq_id: str) -> httpx.Response:
        return await self.post(f"/lightning/invoicerequest/{invreq_id}/disable")

    async def collect(self, invreq: Any, label: str) -> Any:
        """Send an invoice for an invoice request; return the reply once Till shows the request as used."""
        async with connected(self.collector) as rpc:
            reply = await rpc.call("sendinvoice", {"invreq": invreq["bolt12"], "label": label})
        assert "result" in reply, reply
        async with asyncio.timeout(10):
            while not (await self.read(invreq["invreq_id"]))["used"]:
                await asyncio.sleep(0.01)
        return reply["result"]

    async def volume_out(self) -> Any:
        stub = self.shop.invoices
        return (await stub.GetInfo(invoices_pb.GetInfoRequest(), metadata=self.metadata)).volume_out_msat


async def a_cashier(shop: Shop, directory: Path, collector: Path, *scopes: str) -> Cashier:
    flags = [f"--scope={scope}" for scope in scopes or ("payouts", "info:read")]
    return Cashier(shop, await make_key(directory, "--username", "cashier", *flags), collector)


PAGE = 2


@pytest.fixture(scope="module")
async def cashier(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cashier]:
    directory = tmp_path_factory.mktemp("payouts")
    # 0 disables the daily limit, which these tests do not cover.
    settings = config(directory, key_payouts_msat_per_day=0, allow_invreq_disable=True)
    async with open_shop(settings, USUAL._replace(invreq_page=PAGE)) as shop:
        yield await a_cashier(shop, directory, shop.rpc_file)


async def test_an_invreq_is_created_read_listed_and_collected(cashier: Cashier) -> None:
    """The JSON has exactly the fields of the manual page; the node pays the holder of the string."""
    before = await cashier.volume_out()

    made = await cashier.create(amount="2sat", issuer="us", label="atm-1")
    plain = await cashier.create()

    assert list(made) == ["invreq_id", "active", "single_use", "bolt12", "used", "label"]
    assert list(plain) == ["invreq_id", "active", "single_use", "bolt12", "used"]
    assert (made["active"], made["single_use"], made["used"], made["label"]) == (True, True, False, "atm-1")
    assert made["bolt12"].startswith("lnr1")
    assert await cashier.read(made["invreq_id"]) == made
    listed = (await cashier.get(LIST)).json()
    assert list(listed) == ["invoicerequests"]
    assert [each for each in listed["invoicerequests"] if each["invreq_id"] == made["invreq_id"]] == [made]
    paid = await cashier.collect(made, "collected-1")
    assert paid["amount_received_msat"] == 2000
    assert await cashier.read(made["invreq_id"]) == made | {"active": False, "used": True}
    assert await cashier.volume_out() - before == 2000
    refused = await cashier.disable(made["invreq_id"])
    assert (refused.status_code, refused.json()) == (
        409, {"error": "E11", "message": "the invoice request is not active"}
    )  # fmt: skip


async def test_the_same_label_and_request_give_the_same_one(cashier: Cashier) -> None:
    made = await cashier.create(label="twice")

    again, other = (
        await cashier.create(label="twice"),
        await cashier.post(CREATE, json={"amount": "2sat", "description": "e", "label": "twice"}),
    )

    assert again == made
    assert (other.status_code, other.json()["error"]) == (409, "E5")
    assert "another amount and description" in other.json()["message"]


async def test_an_idempotency_key_is_a_label(cashier: Cashier) -> None:
    header = cashier.header | {"idempotency-key": "by-header"}

    made = (await cashier.rest.post(CREATE, headers=header, json=GOOD)).json()
    differing = await cashier.rest.post(CREATE, headers=header, json=GOOD | {"label": "another"})

    assert made["label"] == "by-header"
    assert await cashier.create(label="by-header") == made
    assert (differing.status_code, "Idempotency-Key differ" in differing.json()["message"]) == (400, True)


async def test_a_disabled_invreq_cannot_be_collected(cashier: Cashier) -> None:
    made = await cashier.create()

    disabled = await cashier.disable(made["invreq_id"])

    assert (disabled.status_code, disabled.json()) == (200, made | {"active": False})
    async with connected(cashier.collector) as rpc:
        refused = await rpc.call("sendinvoice", {"invreq": made["bolt12"], "label": "too-late"})
    assert refused["error"]["code"] == 1004
    again = await cashier.disable(made["invreq_id"])
    assert (again.status_code, again.json()["error"]) == (409, "E11")


@pytest.mark.parametrize(
    "amount", [1, 1000, "1000", "1000msat", "1sat", "0.001sat", "0.00001btc", "0.00000000001btc"]
)
async def test_every_form_of_an_amount_is_offered_exactly(cashier: Cashier, amount: int | str) -> None:
    exact = {1: 1, "0.001sat": 1, "0.00001btc": 1_000_000, "0.00000000001btc": 1}.get(amount, 1000)

    made = await cashier.create(amount=amount)

    async with connected(cashier.collector) as rpc:
        assert (await rpc.result("decode", string=made["bolt12"]))["invreq_amount_msat"] == exact


async def test_null_means_absent_and_a_whole_number_may_have_any_notation(cashier: Cashier) -> None:
    """The same rules apply to the other bodies."""
    optional = '"issuer":null,"label":null,"absolute_expiry":null,"single_use":null'

    made = await cashier.post(CREATE, content=f'{{"amount":1e3,"description":"d",{optional}}}')
    timed = await cashier.post(CREATE, content='{"amount":1.0,"description":"d","absolute_expiry":4e9}')

    assert (made.status_code, timed.status_code) == (200, 200), made.text + timed.text
    assert made.json()["single_use"]
    assert "label" not in made.json()
    async with connected(cashier.collector) as rpc:
        assert (await rpc.result("decode", string=made.json()["bolt12"]))["invreq_amount_msat"] == 1000


PAST = int(time.time()) - 1
NO_AMOUNTS: list[object] = [
    1.5, True, None, [], "", "1 sat", "any", "1.5sat", "1.0000sat", "1btc", "0.000000000001btc",
    "1e3", "-1", "+1", "٣", ".5btc", "1.btc", "0x10", "9" * 50,
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"description": "d"}, "amount is missing"),
        ({"amount": 1}, "description is missing"),
        *[({"amount": amount, "description": "d"}, f"amount must be {FORMS}") for amount in NO_AMOUNTS],
        *[
            ({"amount": amount, "description": "d"}, "amount must be at least 1 and at most")
            for amount in (0, -1, "0msat", "0.00000000000btc", 1_844_674_407_370_955_162, 10**90)
        ],
        ({"amount": 100_000_001, "description": "d"}, "the amount must be at most 100000000 msat"),
        *[(GOOD | {"description": text}, "description must") for text in (1, "", "\x00", None)],
        *[(GOOD | {"issuer": text}, "issuer must") for text in (1, "a\n")],
        *[(GOOD | {"label": text}, "label must") for text in (1, "", "\t")],
        *[
            (GOOD | {"absolute_expiry": expiry}, "absolute_expiry must be")
            for expiry in ("1", 1.5, True, -1, 2**64, PAST, 0)
        ],
        *[(GOOD | {"single_use": single}, "single_use must be true or false") for single in (1, "no")],
        (GOOD | {"amount_msat": 1}, "unknown field"),
    ],
)  # fmt: skip
async def test_an_invalid_request_is_refused_with_its_reason(
    cashier: Cashier, body: dict[str, Any], message: str
) -> None:
    """The node gets no request."""
    async with connected(cashier.collector) as rpc:
        before = len((await rpc.result("listinvoicerequests"))["invoicerequests"])

        refused = await cashier.post(CREATE, json=body)

        assert (refused.status_code, refused.json()["error"]) == (400, "E1"), refused.text
        assert message in refused.json()["message"]
        assert len((await rpc.result("listinvoicerequests"))["invoicerequests"]) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400), (b"[]", 400), (b"{", 400), (b'{"amount":1,"amount":2,"description":"d"}', 400),
        (b'{"amount":1,"description":"\\ud800"}', 400), (b'{"amount":NaN,"description":"d"}', 400),
        (b'{"amount":1,"description":"\xff"}', 400), (b" " * 65_537, 413),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_refused(cashier: Cashier, body: bytes, code: int) -> None:
    refused = await cashier.post(CREATE, content=body)

    assert refused.status_code == code, refused.text
    assert set(refused.json()) == {"error", "message"}


async def test_an_unknown_id_is_not_found(cashier: Cashier) -> None:
    for path in ("0" * 64, "nonsense", "0" * 63, "create", "%ff"):
        reply = await cashier.get(f"/lightning/invoicerequest/{path}")
        assert (reply.status_code, reply.json()["error"]) == (404, "E2"), path
    assert (await cashier.disable("0" * 64)).json() == {"error": "E2", "message": "resource not found"}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", CREATE, "POST"), ("POST", LIST, "GET"),
        ("POST", "/lightning/invoicerequest/" + "0" * 64, "GET"),
        ("GET", "/lightning/invoicerequest/" + "0" * 64 + "/disable", "POST"),
        ("DELETE", "/lightning/invoicerequest/" + "0" * 64, "GET"),
    ],
)  # fmt: skip
async def test_a_path_accepts_only_its_method(cashier: Cashier, method: str, path: str, allow: str) -> None:
    reply = await cashier.rest.request(method, path, headers=cashier.header)

    assert (reply.status_code, reply.json()["error"], reply.headers["allow"]) == (405, "E10", allow)


async def test_grpc_creates_reads_and_disables_an_invreq(cashier: Cashier) -> None:
    """gRPC returns more fields than REST."""
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    request = pb.CreateInvreqRequest(
        amount_msat=5000, description="a prize", issuer="us", label="prize",
        expires_at=Timestamp(seconds=int(expiry.timestamp())),
    )  # fmt: skip

    made = (await cashier.invreqs.CreateInvreq(request, metadata=cashier.metadata)).invreq

    get = pb.GetInvreqRequest(invreq_id=made.invreq_id)
    assert (await cashier.invreqs.GetInvreq(get, metadata=cashier.metadata)).invreq == made
    assert (made.username, made.label, made.amount_msat, made.description, made.issuer) == (
        "cashier", "prize", 5000, "a prize", "us"
    )  # fmt: skip
    assert (made.single_use, made.status) == (True, INVREQ_STATUS_ACTIVE)
    assert made.expires_at.ToDatetime(UTC) == expiry
    assert abs(made.created_at.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(seconds=5)
    disable = pb.DisableInvreqRequest(invreq_id=made.invreq_id)
    ended = (await cashier.invreqs.DisableInvreq(disable, metadata=cashier.metadata)).invreq
    assert ended.status == INVREQ_STATUS_DISABLED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await cashier.invreqs.DisableInvreq(disable, metadata=cashier.metadata)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    "request_",
    [
        pb.CreateInvreqRequest(description="d"),
        pb.CreateInvreqRequest(amount_msat=2**64 - 1, description="d"),
        pb.CreateInvreqRequest(amount_msat=1),
        pb.CreateInvreqRequest(amount_msat=1, description="d", label=""),
        pb.CreateInvreqRequest(amount_msat=1, description="d", expires_at=Timestamp(seconds=1)),
        pb.CreateInvreqRequest(amount_msat=1, description="d", expires_at=Timestamp(seconds=2**60)),
        pb.CreateInvreqRequest(
            amount_msat=1, description="d", expires_at=Timestamp(seconds=2**33, nanos=1000)
        ),
    ],
)
async def test_a_bad_request_over_grpc_is_refused(cashier: Cashier, request_: pb.CreateInvreqRequest) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await cashier.invreqs.CreateInvreq(request_, metadata=cashier.metadata)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_pages_follow_each_other(cashier: Cashier) -> None:
    """The newest request is first, and each request is on one page."""
    made = [(await cashier.create())["invreq_id"] for _ in range(3)]

    listed, after = [], ""
    while page := (await cashier.get(f"{LIST}{after}")).json()["invoicerequests"]:
        listed += [each["invreq_id"] for each in page]
        after = f"?after={listed[-1]}"

    assert set(made) <= set(listed)
    assert len(listed) == len(set(listed))
    over_grpc, times, token = [], [], None
    while token != "":
        request = pb.ListInvreqsRequest(page_size=2, page_token=token)
        page = await cashier.invreqs.ListInvreqs(request, metadata=cashier.metadata)
        over_grpc += [each.invreq_id for each in page.invreqs]
        times += [each.created_at.seconds for each in page.invreqs]
        token = page.next_page_token
    assert (over_grpc, times) == (listed, sorted(times, reverse=True))
    beside_others = (await cashier.get(f"{LIST}?x=1&after={listed[0]}&y=2")).json()["invoicerequests"]
    assert beside_others[0]["invreq_id"] == listed[1]
    for unknown in ("0" * 64, listed[0][:-1], "zz", f"{listed[0]}!", "%20"):
        refused = await cashier.get(f"{LIST}?after={unknown}")
        assert (refused.status_code, "after" in refused.json()["message"]) == (400, True)


async def test_a_key_needs_the_scope_and_sees_its_users_only(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path)) as shop:
        without_keys = await shop.rest.post(CREATE, json=GOOD)
        owner = await a_cashier(shop, tmp_path, shop.rpc_file)
        made = await owner.create()
        admin = await a_cashier(shop, tmp_path, shop.rpc_file, "admin", "invoices:create")
        other = Cashier(
            shop, await make_key(tmp_path, "--username", "other", "--scope", "payouts"), shop.rpc_file
        )

        assert (without_keys.status_code, without_keys.json()["error"]) == (403, "E4")
        for method, path in (("POST", CREATE), ("GET", LIST)):
            reply = await shop.rest.request(method, path, headers=admin.header, json=GOOD)
            assert (reply.status_code, "scope payouts" in reply.json()["message"]) == (403, True)
        assert (await other.get(f"/lightning/invoicerequest/{made['invreq_id']}")).status_code == 404
        assert (await other.disable(made["invreq_id"])).status_code == 404
        assert (await other.get(LIST)).json() == {"invoicerequests": []}
        assert (await owner.get(LIST)).json() == {"invoicerequests": [made]}


async def test_disabling_restores_part_of_the_daily_limit(tmp_path: Path) -> None:
    settings = config(
        tmp_path, key_payout_msat=3000, key_payouts_msat_per_day=5000, allow_invreq_disable=True
    )
    async with open_shop(settings) as shop:
        cashier = await a_cashier(shop, tmp_path, shop.rpc_file)
        first, second = await cashier.create(amount=3000), await cashier.create(amount=2000)

        more = await cashier.post(CREATE, json=GOOD | {"amount": 1})
        many = await cashier.post(CREATE, json=GOOD | {"single_use": False})
        await cashier.collect(first, "collected")
        paid = await cashier.post(CREATE, json=GOOD | {"amount": 1})
        await cashier.disable(second["invreq_id"])

        assert (more.status_code, more.json()["error"], paid.status_code) == (429, "E7", 429)
        midnight = 86400 - time.time() % 86400
        assert abs(int(more.headers["retry-after"]) - midnight) < 60
        assert (many.status_code, "single_use must be true" in many.json()["message"]) == (400, True)
        await cashier.create(amount=2000)


async def test_disabling_requires_a_setting(tmp_path: Path) -> None:
    """REST and gRPC refuse otherwise, and the error names the setting."""
    async with open_shop(config(tmp_path)) as shop:
        cashier = await a_cashier(shop, tmp_path, shop.rpc_file)
        made = await cashier.create()

        late = await cashier.post(CREATE, json=GOOD | {"absolute_expiry": int(time.time()) + 60})
        refused = await cashier.disable(made["invreq_id"])
        with pytest.raises(grpc.aio.AioRpcError) as over_grpc:
            await cashier.invreqs.DisableInvreq(
                pb.DisableInvreqRequest(invreq_id=made["invreq_id"]), metadata=cashier.metadata
            )

        assert (late.status_code, late.json()["error"]) == (400, "E1")
        assert late.json()["message"].startswith("absolute_expiry is not allowed")
        assert (refused.status_code, refused.json()["error"]) == (403, "E4")
        assert over_grpc.value.code() is grpc.StatusCode.PERMISSION_DENIED
        messages = (late.json()["message"], refused.json()["message"], over_grpc.value.details())
        assert all("TILLD_ALLOW_INVREQ_DISABLE=true" in str(each) for each in messages)
        assert (await cashier.read(made["invreq_id"]))["active"]


async def test_expired_invreqs_are_disabled_also_after_a_restart(tmp_path: Path) -> None:
    """The node does not check the expiry, so Till disables expired requests."""
    settings, often = config(tmp_path, allow_invreq_disable=True), USUAL._replace(sweep_seconds=0.05)
    async with open_shop(settings, often) as shop:
        cashier = await a_cashier(shop, tmp_path, shop.rpc_file)
        here = await cashier.create(absolute_expiry=int(time.time()) + 2)
        async with asyncio.timeout(10):
            while (await cashier.read(here["invreq_id"]))["active"]:
                await asyncio.sleep(0.02)
        later = await cashier.create(absolute_expiry=int(time.time()) + 2)

    async with open_shop(settings, often) as shop:
        cashier = Cashier(shop, cashier.header, shop.rpc_file)
        async with asyncio.timeout(10):
            while (await cashier.read(later["invreq_id"]))["active"]:
                await asyncio.sleep(0.02)
        async with connected(shop.rpc_file) as rpc:
            refused = await rpc.call("sendinvoice", {"invreq": later["bolt12"], "label": "late"})
        assert "no longer available" in str(refused["error"]["data"])


async def test_reading_works_while_the_node_is_down(tmp_path: Path) -> None:
    rpc_file = tmp_path / "node" / "rpc"
    rpc_file.parent.mkdir()
    async with Simulator(rpc_file, tmp_path / "node" / "state"):
        context = open_shop(config(tmp_path / "till", lightning_rpc=rpc_file, allow_invreq_disable=True))
        shop = await context.__aenter__()
        cashier = await a_cashier(shop, tmp_path / "till", rpc_file)
        made = await cashier.create()
    try:
        assert await cashier.read(made["invreq_id"]) == made
        refused = await cashier.post(CREATE, json=GOOD)
        assert (refused.status_code, refused.json()["error"]) == (503, "E8")
        refused = await cashier.disable(made["invreq_id"])
        assert (refused.status_code, refused.json()["error"]) == (503, "E8")
    finally:
        await context.__aexit__(None, None, None)


@pytest.mark.lightningd
@pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd")
@pytest.mark.timeout(180)
async def test_a_real_node_pays_another_and_itself(tmp_path: Path) -> None:
    """The other node is paid over a channel, the node itself internally."""
    nodes, till = tmp_path / "nodes", tmp_path / "till"
    async with real_node(nodes) as node:
        collector = nodes / "b" / "regtest" / "lightning-rpc"
        async with open_shop(config(till, lightning_rpc=node.rpc_file, allow_invreq_disable=True)) as shop:
            cashier = await a_cashier(shop, till, collector)
            own = Cashier(shop, cashier.header, node.rpc_file)
            first = await cashier.create(amount="0.00001btc", description="a\tprize ☕", issuer="us")
            second, third = await cashier.create(amount="1.001sat", label="own"), await cashier.create()

            assert (await cashier.collect(first, "first"))["amount_received_msat"] == 1_000_000
            assert (await own.collect(second, "second"))["amount_received_msat"] == 1001
            disabled = await cashier.disable(third["invreq_id"])

            assert disabled.json() == third | {"active": False}
            assert (await cashier.disable(third["invreq_id"])).json()["error"] == "E11"
            assert await cashier.volume_out() == 1_001_001
            assert await cashier.create(amount="1.001sat", label="own") == second | {
                "active": False, "used": True
            }  # fmt: skip
