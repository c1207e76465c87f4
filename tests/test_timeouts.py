"""Time-outs are nested: client > Envoy > tilld > node. docs/design/reliability.md has the table."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from tests.support.nodes import simulated_node
from tests.support.scripted_node import Request, ask, scripted_node
from tests.support.shop import Shop, config, open_shop
from till import AsyncClient, Client
from till.v1.invoice_service_pb2 import CreateInvoiceRequest
from till_cli.main import _till as command
from tilld.auth import limits
from tilld.config import USUAL
from tilld.envoy.process import Envoy
from tilld.rest_api import event_query
from tilld.sent_invoices import attempt, service

ENVOY = Path(__file__).parent.parent / "envoy.yaml"
SHOP = {"msat": 5000, "metadata": {"type": "shop"}}


def routes(configuration: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    manager = configuration["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    [host] = manager["typed_config"]["route_config"]["virtual_hosts"]
    return manager["typed_config"], [
        (str(each["match"]), each["route"])
        for each in host["routes"]
        if each["route"].get("cluster") == "tilld" and "HealthService" not in str(each["match"])
    ]


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_every_time_out_is_longer_than_the_one_behind_it() -> None:
    """The outer part then always receives the error of the inner part that timed out first."""
    manager, all_routes = routes(yaml.safe_load(ENVOY.read_text()))
    unary = {match: route for match, route in all_routes if seconds(route["timeout"])}
    sends = {match: route for match, route in unary.items() if "SendInvoice" in match}
    polls = {match: route for match, route in unary.items() if "EventService/ListEvents" in match}
    others = {match: route for match, route in unary.items() if match not in sends | polls}
    clients = [
        inspect.signature(each).parameters["timeout"].default for each in (Client, AsyncClient, command)
    ]

    # tilld also reports the time-out of a slow gRPC request, before Envoy does.
    assert seconds(manager["request_timeout"]) > USUAL.request_seconds
    assert USUAL.call_seconds > USUAL.request_seconds
    # A create waits its turn, calls the node, and may look up the result.
    assert USUAL.call_seconds > limits.PATIENCE_SECONDS + 2 * USUAL.node_call_seconds
    # A test of a webhook waits for the receiver.
    assert USUAL.call_seconds > USUAL.webhook_seconds + 5
    assert (len(sends), len(polls), len(others)) == (1, 1, 3)
    for route in others.values():
        assert min(clients) > seconds(route["timeout"]) > USUAL.call_seconds
        assert seconds(route["retry_policy"].get("per_try_timeout", "25s")) > USUAL.call_seconds
        # The limits for all streams must exceed the time-out of the route.
        for limit in (
            manager["stream_idle_timeout"],
            manager["common_http_protocol_options"]["max_stream_duration"],
        ):
            assert seconds(limit) > seconds(route["timeout"])
    longest = attempt.MAX_TIMEOUT_SECONDS + service.GRACE_SECONDS
    for [call], seconds_needed in (
        (sends.values(), longest),
        (polls.values(), event_query.MAX_WAIT_SECONDS + USUAL.call_seconds),
    ):
        for limit in (
            call["timeout"],
            call["idle_timeout"],
            call["max_stream_duration"]["max_stream_duration"],
        ):
            assert seconds(limit) > seconds_needed
    # The first route of all watches is that of REST.
    watch = next(route for match, route in all_routes if "/Watch" in match)
    assert seconds(watch["idle_timeout"]) > 2 * config(Path(), heartbeat_seconds=15).heartbeat_seconds


def test_a_replica_that_hangs_is_found_while_there_is_time_to_ask_another() -> None:
    configuration = yaml.safe_load(ENVOY.read_text())
    cluster, _ = configuration["static_resources"]["clusters"]
    [options] = cluster["typed_extension_protocol_options"].values()
    keepalive = options["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]
    # Envoy adds up to 15 % to the interval.
    found = 1.15 * seconds(keepalive["interval"]) + seconds(keepalive["timeout"])

    for _, route in routes(configuration)[1]:
        assert not seconds(route["timeout"]) or found + 5 < seconds(route["timeout"])


class Hasty(Envoy):
    """An Envoy whose time-outs are a tenth of the usual ones."""

    def configuration(self) -> dict[str, Any]:
        made = super().configuration()
        # YAML anchors make some routes the same object.
        for route in {id(route): route for _, route in routes(made)[1]}.values():
            for each, name in ((route, "timeout"), (route["retry_policy"], "per_try_timeout")):
                if name in each:
                    each[name] = f"{seconds(each[name]) / 10:g}s"
        return made


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[tuple[Shop, dict[str, float]]]:
    """A Till with a tenth of the usual time-outs, and the delay of its node in unscaled seconds."""
    needs = {"seconds": 0.0}
    (tmp_path / "node").mkdir()

    async def answer(request: Request) -> bytes:
        await asyncio.sleep(needs["seconds"] / 10 if request["method"] == "invoice" else 0)
        return await ask(tmp_path / "node" / "rpc", request)

    # The time-out of node calls must not interfere.
    hasty = USUAL._replace(call_seconds=USUAL.call_seconds / 10, node_call_seconds=60)
    settings = config(tmp_path / "till", lightning_rpc=tmp_path / "rpc")
    async with simulated_node(tmp_path / "node"), scripted_node(tmp_path / "rpc", answer):
        async with open_shop(settings, hasty, Hasty) as shop:
            yield shop, needs


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "order-1"}])
async def test_a_create_succeeds_at_a_node_that_needs_seven_seconds(
    slow: tuple[Shop, dict[str, float]], headers: dict[str, str]
) -> None:
    """An Idempotency-Key enables retries by Envoy, whose time-out for each try must not end the create."""
    shop, needs = slow
    needs["seconds"] = 7

    created = await shop.rest.post("/lightning/invoice/create", json=SHOP, headers=headers)

    assert (created.status_code, created.json().get("label")) == (200, headers.get("idempotency-key"))


async def test_till_reports_a_time_out_before_envoy_does(slow: tuple[Shop, dict[str, float]]) -> None:
    """Both ports return tilld's error, which says more than Envoy's."""
    shop, needs = slow
    needs["seconds"] = 240

    rest = await shop.rest.post("/lightning/invoice/create", json=SHOP)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.invoices.CreateInvoice(CreateInvoiceRequest(metadata='{"type":"shop"}'))

    assert (rest.status_code, rest.json()["error"]) == (504, "E9")
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.value.trailing_metadata()["x-error-code"] == "E9"
