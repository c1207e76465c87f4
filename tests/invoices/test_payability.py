"""lightningd's warnings as an estimate, and the channels that a payment request names."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_simulator import Simulator
from lightningd_simulator.bolts import bolt11
from lightningd_simulator.channels import USUAL, Channel
from tests.support.replay import recorded
from tests.support.samples import DAKK, an_order
from tests.support.till import Parts
from tilld.errors import Conflict, InvalidRequest
from tilld.invoices.payability import EXISTED, Payability, PayabilityStatus
from tilld.invoices.service import NewInvoice
from tilld.invoices.terms import MAX_BOLT11_DESCRIPTION_BYTES, MAX_EXPOSED_CHANNELS, InvoiceTerms

PUBLIC, PRIVATE = USUAL
RECEIVABLE = PUBLIC.receivable_msat
# Of the private channel: payers see the alias, not the place in the block chain.
ALIAS = PRIVATE.remote_alias

OK, INSUFFICIENT, OFFLINE, PRIVATE_ONLY, UNKNOWN = PayabilityStatus
WARNINGS = {
    "warning_capacity": INSUFFICIENT,
    "warning_deadends": INSUFFICIENT,
    "warning_offline": OFFLINE,
    "warning_private_unused": PRIVATE_ONLY,
    "warning_listincoming": UNKNOWN,
}


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Parts]:
    till = Parts(tmp_path)
    yield till
    await till.close()


def node(directory: Path, *channels: Channel) -> Simulator:
    return Simulator(directory / "rpc", directory / "node.jsonl", channels=channels or USUAL)


def hints(text: str) -> list[str]:
    """Return the channels that a payment request names."""
    return [route[0].short_channel_id for route in bolt11.read(text).routes or []]


def test_no_warning_means_payable() -> None:
    assert Payability.of({"bolt11": "lnbcrt1", "payment_hash": "ab"}) == (OK, "")


@pytest.mark.parametrize(("warning", "status"), WARNINGS.items())
def test_each_warning_has_a_status_and_advice(warning: str, status: PayabilityStatus) -> None:
    for beside in ({}, {"warning_mpp": "The invoice is only payable by MPP-capable payers."}):
        estimate = Payability.of({"bolt11": "lnbcrt1", warning: "text"} | beside)

        assert estimate.status is status
        assert "; " in estimate.detail


def test_several_parts_are_payable() -> None:
    assert Payability.of({"warning_mpp": "x"}) == (
        OK, "no single channel can receive the amount; the payer must pay in several parts"
    )  # fmt: skip


@pytest.mark.parametrize("beside", [{}, {"warning_mpp": "x"}])
def test_a_warning_of_a_later_version_is_quoted(beside: dict[str, str]) -> None:
    estimate = Payability.of({"warning_weather": "rain " * 1000} | beside)

    assert estimate.status is UNKNOWN
    assert estimate.detail.startswith('lightningd warns: "rain rain')
    assert len(estimate.detail) < 300


def test_a_known_problem_outweighs_a_new_warning() -> None:
    assert Payability.of({"warning_weather": "rain", "warning_offline": "x"}).status is OFFLINE


def test_every_recorded_reply_has_the_status_of_its_warnings() -> None:
    for exchange in recorded("payability"):
        if exchange.method == "invoice" and "result" in exchange.reply:
            reply = exchange.reply["result"]
            expected = [status for name, status in WARNINGS.items() if name in reply]
            assert Payability.of(reply).status is (expected[0] if expected else OK), exchange.title


@pytest.mark.parametrize(
    ("amount_msat", "exposed", "status", "named"),
    [
        (None, None, OK, ["103x1x0"]),
        (RECEIVABLE, None, OK, ["103x1x0"]),
        (RECEIVABLE + 1, None, PRIVATE_ONLY, ["103x1x0"]),
        (RECEIVABLE + 1, False, PRIVATE_ONLY, ["103x1x0"]),
        (RECEIVABLE + 1, True, OK, ["103x1x0", ALIAS]),
        (RECEIVABLE + 1, ["103x1x0", "104x1x0"], OK, ["103x1x0", ALIAS]),
        (5000, ["104x1x0"], OK, [ALIAS]),
        (5000, [ALIAS], OK, [ALIAS]),
        (5000, ["1x1x1", "104x1x0"], OK, [ALIAS]),
        (2 * RECEIVABLE + 1, True, INSUFFICIENT, ["103x1x0", ALIAS]),
    ],
)
async def test_a_create_names_channels_and_estimates(
    till: Parts, tmp_path: Path, amount_msat: int | None, exposed: Any, status: PayabilityStatus, named: Any
) -> None:
    order = an_order(amount_msat=amount_msat, expose_private_channels=exposed)

    async with node(tmp_path):
        invoice, payability, _ = await till.invoicing.create(DAKK, order)

    assert payability.status is status
    assert hints(invoice.bolt11) == named
    assert (await till.store.get(invoice.invoice_id)) == invoice


async def test_channels_of_offline_peers(till: Parts, tmp_path: Path) -> None:
    offline = Channel("105x1x0", ALIAS, PUBLIC.peer_id, RECEIVABLE, is_connected=False)
    async with node(tmp_path, offline):
        assert (await till.invoicing.create(DAKK, an_order())).payability.status is OFFLINE


@pytest.mark.parametrize("label", [None, "order-1"])
async def test_unusable_channels_are_an_invalid_request(
    till: Parts, tmp_path: Path, label: str | None
) -> None:
    """The message names the field. The label stays free."""
    async with node(tmp_path):
        with pytest.raises(InvalidRequest, match=r"^expose_private_channels names no channel of the node"):
            await till.create(label=label, expose_private_channels=["1x1x1", "2x2x2"])

        assert (await till.create(label=label)).label == label
    assert (await till.store.totals()).invoices == 1


async def test_a_repeat_has_no_estimate_and_may_expose_other_channels(till: Parts, tmp_path: Path) -> None:
    async with node(tmp_path):
        invoice, first, _ = await till.invoicing.create(DAKK, an_order(label="order-1"))
        again = [
            await till.invoicing.create(DAKK, an_order(label="order-1", expose_private_channels=exposed))
            for exposed in (None, True, ["104x1x0"], ["1x1x1"])
        ]

    assert first.status is OK
    assert again == [NewInvoice(invoice, EXISTED)] * 4


@pytest.mark.parametrize("exposed", [None, ["104x1x0"]])
async def test_an_earlier_try_is_adopted_though_its_channels_are_unusable_now(
    till: Parts, tmp_path: Path, exposed: Any
) -> None:
    """lightningd rejects unusable channels before it looks at the label."""
    order = an_order(label="order-1", expose_private_channels=exposed)
    async with node(tmp_path):
        issued = await till.node.invoice(order.invoice_id("dakk", till.store.secret), order)
        await till.node.close()
    async with node(tmp_path, PUBLIC):
        invoice, payability, _ = await till.invoicing.create(DAKK, order)

    assert (invoice.bolt11, payability) == (issued.bolt11, EXISTED)


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_hash_in_place_of_the_description_is_part_of_the_order(
    till: Parts, tmp_path: Path, is_stored: bool
) -> None:
    """This also holds for an invoice that an earlier try left at the node."""
    plain, hashed = (
        an_order(label=label, description="tea", description_hash_only=label == "hashed")
        for label in ("plain", "hashed")
    )
    async with node(tmp_path):
        made = []
        for order in (plain, hashed):
            if is_stored:
                made.append((await till.invoicing.create(DAKK, order)).invoice.bolt11)
            else:
                invoice_id = order.invoice_id("dakk", till.store.secret)
                made.append((await till.node.invoice(invoice_id, order)).bolt11)

        for order in (plain, hashed):
            other = an_order(
                label=order.label, description="tea", description_hash_only=not order.description_hash_only
            )
            with pytest.raises(Conflict, match="another description_hash_only$"):
                await till.invoicing.create(DAKK, other)
        repeated = [(await till.invoicing.create(DAKK, order)).invoice for order in (plain, hashed)]

    assert [invoice.bolt11 for invoice in repeated] == made
    assert [invoice.description for invoice in repeated] == ["tea", "tea"]
    assert [bolt11.read(text).description for text in made] == ["tea", None]


async def test_a_long_description_is_always_a_hash(till: Parts, tmp_path: Path) -> None:
    order = {"label": "order-1", "description": "x" * (MAX_BOLT11_DESCRIPTION_BYTES + 1)}
    async with node(tmp_path):
        first = await till.create(**order)
        again = await till.create(**order, description_hash_only=True)

    assert again == first
    assert bolt11.read(first.bolt11).description_hash


@pytest.mark.parametrize(
    "channel",
    [
        "", "x", "1x1", "1x1x1x1", " 1x1x1", "1x1x1 ", "-1x1x1", "+1x1x1", "1x1x1\n", "1X1X1", "1:1:1",
        "16777216x1x1", "1x16777216x1", "1x1x65536", "1" * 100 + "x1x1", "\u0661x1x1", "\ud800x1x1",
    ],
)  # fmt: skip
def test_malformed_channels_are_rejected(channel: str) -> None:
    """The message names the field and the value, at most 30 characters of it."""
    with pytest.raises(InvalidRequest, match=r'^expose_private_channels has .*"123456x7x0"$') as refused:
        an_order(expose_private_channels=["1x1x1", channel])
    assert len(refused.value.message.encode(errors="backslashreplace")) < 200


@pytest.mark.parametrize("count", [0, MAX_EXPOSED_CHANNELS + 1])
def test_the_number_of_channels_is_limited(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"must have 1 to 20 short channel ids, but has {count}"):
        an_order(expose_private_channels=["1x1x1"] * count)


def test_the_limits_of_channels_are_valid() -> None:
    order = an_order(expose_private_channels=["16777215x16777215x65535"] * MAX_EXPOSED_CHANNELS)
    assert isinstance(order, InvoiceTerms)


@pytest.mark.parametrize("description", [None, ""])
def test_a_hash_needs_a_description(description: str | None) -> None:
    with pytest.raises(InvalidRequest, match="^description_hash_only needs a description"):
        an_order(description=description, description_hash_only=True)
