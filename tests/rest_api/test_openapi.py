"""The OpenAPI document agrees with the code."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from importlib import metadata, resources
from operator import getitem
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.api import annotations_pb2
from openapi_spec_validator import OpenAPIV31SpecValidator

from scripts import openapi
from tests.support import golden
from tests.support.openapi import DOCUMENT, SCHEMAS, assert_valid
from tests.support.samples import NOON, an_invoice
from till.webhooks import sign
from till_rest.v1 import (
    event_service_pb2,
    health_service_pb2,
    invoice_service_pb2,
    invreq_service_pb2,
    webhook_service_pb2,
)
from tilld import errors
from tilld.auth import limits
from tilld.config import USUAL
from tilld.event_log.entry import EventType
from tilld.formats import amounts, ids, members, strict_json, text, times
from tilld.grpc_api.dispatcher import STATUS
from tilld.invoices import terms
from tilld.invoices.invoice import Payment, Status
from tilld.invoices.payability import EXISTED
from tilld.invoices.service import Info, NewInvoice
from tilld.invoices.totals import Totals
from tilld.invoices.webhook import InvoiceWebhook
from tilld.lightningd.info import NodeInfo
from tilld.lists import csv_lines
from tilld.lists import terms as list_terms
from tilld.lists.report import Grouping, Report, ReportGroup, ReportTerms
from tilld.lists.service import Page
from tilld.lists.terms import Period
from tilld.payouts import invreq
from tilld.rest_api import list_query
from tilld.rest_api.invoice_servicer import ATTACHMENT
from tilld.rest_api.schemas import body, info_json, invoice_json, invreq_json, list_json, sendinvoice_json
from tilld.sent_invoices import attempt
from tilld.sent_invoices.attempt import Sent
from tilld.webhooks import service, transactions
from tilld.webhooks.delivery import DeliveryState
from tilld.webhooks.http import targets

ROOT = Path(__file__).parents[2]
# Bodies of requests reject unknown fields.
REQUESTS = (
    "CreateInvoice",
    "CreateInvreq",
    "CreateWebhook",
    "ReplayEvents",
    "SendInvoice",
    "UpdateWebhook",
)


def parts(value: Any, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Yield all objects of the document, each with its path."""
    if isinstance(value, dict):
        yield path, value
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            yield from parts(inner, *path, name)


def followed(value: Any) -> Any:
    """Return the target of a reference, or the value itself."""
    return reduce(getitem, value["$ref"].split("/")[1:], DOCUMENT) if "$ref" in value else value


def pattern(fullmatch: Any) -> str:
    """Return the pattern of a compiled regular expression, as a schema states it."""
    return f"^{fullmatch.__self__.pattern}$"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        yield from ((method, path, operation) for method, operation in item.items())


def test_it_is_openapi_of_this_version() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()

    assert DOCUMENT["info"]["version"] == metadata.version("lightning-till")


def test_the_document_is_up_to_date() -> None:
    """The schemas are generated from the types that the code reads and writes."""
    text = resources.files("tilld.rest_api").joinpath("openapi.json").read_text()

    assert text == openapi.document(), "run 'make generate-openapi'"


def test_the_document_has_exactly_the_routes() -> None:
    """Parameters have the names of the documented API, not those of the protos."""
    services = [
        event_service_pb2.DESCRIPTOR.services_by_name["EventService"],
        invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"],
        invreq_service_pb2.DESCRIPTOR.services_by_name["InvreqService"],
        webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
        health_service_pb2.DESCRIPTOR.services_by_name["HealthService"],
    ]
    rules = {
        method.name: method.GetOptions().Extensions[annotations_pb2.http]
        for service in services
        for method in service.methods
    }

    assert {
        (method, re.sub(r"\{\w+\}", "{}", path), operation["operationId"])
        for method, path, operation in operations()
    } == {
        (verb, re.sub(r"\{\w+\}", "{}", getattr(rule, verb)), name[0].lower() + name[1:])
        for name, rule in rules.items()
        for verb in [rule.WhichOneof("pattern")]
    }


def test_generated_clients_accept_every_amount_and_later_additions() -> None:
    """Generators assume 32 bits without a format.

    A closed object or enum rejects additions of a later Till.
    """
    schemas = [
        (path, part) for path, part in parts(DOCUMENT) if {"schema", "schemas", "properties"} & set(path)
    ]
    for path, part in schemas:
        kinds = part.get("type", ())
        if "integer" in ([kinds] if isinstance(kinds, str) else kinds):
            assert part["format"] == "int64", path
        if "const" in part or "enum" in part:
            assert "type" in part, path
        if kinds == "object" and path[-1] not in REQUESTS:
            assert part["additionalProperties"] is True, path
            for name, field in part["properties"].items():
                assert not {"const", "enum"} & field.keys(), (path, name)
    assert SCHEMAS["Time"]["format"] == "date-time"
    assert SCHEMAS["Invoice"]["properties"]["status"]["x-extensible-enum"] == list(Status)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("CreateInvoice/msat/anyOf/0/maximum", amounts.MAX_AMOUNT_MSAT),
        ("CreateInvoice/description/maxLength", terms.MAX_DESCRIPTION_BYTES),
        ("CreateInvoice/expiry/maximum", terms.MAX_EXPIRY_SECONDS),
        ("CreateInvoice/expiry/default", terms.DEFAULT_EXPIRY_SECONDS),
        ("SendInvoice/invreq/maxLength", attempt.MAX_INVREQ_BYTES),
        ("SendInvoice/timeout/maximum", attempt.MAX_TIMEOUT_SECONDS),
        ("SendInvoice/timeout/default", attempt.DEFAULT_TIMEOUT_SECONDS),
        ("SendInvoice/quantity/maximum", attempt.MAX_QUANTITY),
        ("CreateInvreq/description/maxLength", invreq.MAX_DESCRIPTION_BYTES),
        ("CreateInvreq/issuer/maxLength", invreq.MAX_ISSUER_BYTES),
        ("CreateInvreq/absolute_expiry/maximum", times.unix_seconds(times.EXPIRY_LIMIT) - 1),
        ("CreateInvoice/webhook/maxLength", targets.MAX_URL_BYTES),
        ("CreateWebhook/url/maxLength", targets.MAX_URL_BYTES),
        ("CreateWebhook/types/items/enum", list(EventType)),
        ("ReplayEvents/after/maximum", strict_json.MAX_WHOLE),
        ("Webhook/types/items/x-extensible-enum", list(EventType)),
        ("Delivery/state/x-extensible-enum", list(DeliveryState)),
        ("Delivery/event_id/pattern", pattern(ids.is_event_id)),
        ("Invoice/invoiceid/pattern", pattern(ids.is_invoice_id)),
        ("Invoice/_id/pattern", pattern(ids.is_id)),
        ("Invoice/rhash/pattern", pattern(ids.is_payment_hash)),
        ("Invreq/invreq_id/pattern", pattern(invreq.is_invreq_id)),
    ],
)
def test_a_limit_is_that_of_the_code(path: str, limit: int | str | list[str]) -> None:
    schema, *names = path.split("/")
    found = SCHEMAS[schema]["properties"]
    for name in names:
        found = found[int(name) if name.isdigit() else name]

    assert found == limit


def test_other_limits_are_those_of_the_code() -> None:
    assert SCHEMAS["Label"]["maxLength"] == text.MAX_LABEL_BYTES
    assert SCHEMAS["Amount"]["anyOf"][0]["maximum"] == amounts.MAX_AMOUNT_MSAT
    listed = DOCUMENT["paths"]["/lightning/invoicerequests"]["get"]["responses"]["200"]["content"]
    page = listed["application/json"]["schema"]["properties"]["invoicerequests"]
    assert page["maxItems"] == USUAL.invreq_page
    assert SCHEMAS["InvoicePage"]["properties"]["invoices"]["maxItems"] == list_terms.MAX_PAGE_SIZE
    asked = {
        each["name"]: followed(each)
        for path in ("/lightning/invoices", "/lightning/report")
        for each in map(followed, DOCUMENT["paths"][path]["get"]["parameters"])
    }
    assert asked["status"]["schema"]["items"]["enum"] == list(Status)
    assert asked["order"]["schema"]["enum"] == list(list_query.ORDERS)
    assert asked["by"]["schema"]["enum"] == list(Grouping)
    assert asked["limit"]["schema"]["default"] == list_terms.PAGE_SIZE
    assert asked["limit"]["schema"]["maximum"] == list_query.MAX_LIMIT
    assert asked["type"]["schema"]["maxLength"] == terms.MAX_METADATA_BYTES
    assert asked["metadata"]["schema"]["maxLength"] == members.MAX_NAME_BYTES + 1 + members.MAX_VALUE_BYTES
    described = DOCUMENT["paths"]["/lightning/invoice/create"]["post"]["description"]
    assert f"{body.MAX_BODY_BYTES // 1024} KiB and {strict_json.MAX_LEVELS} levels" in described
    assert f"{terms.MAX_METADATA_BYTES // 1024} KiB" in SCHEMAS["Metadata"]["description"]


def test_the_limits_of_webhooks_are_those_of_the_code() -> None:
    create, test = (
        DOCUMENT["paths"][path]["post"]["description"]
        for path in ("/lightning/webhooks", "/lightning/webhooks/{id}/test")
    )
    deliveries = DOCUMENT["paths"]["/lightning/webhooks/{id}/deliveries"]["get"]
    asked = {each["name"]: each["schema"] for each in map(followed, deliveries["parameters"])}

    assert f"at most {transactions.WEBHOOKS_PER_USER} webhooks" in create
    assert f"may send {limits.TESTS_AT_ONCE} tests immediately" in test
    assert f"after {USUAL.webhook_seconds:g} s at most" in test
    assert f"the last {transactions.SUCCEEDED_KEPT}" in deliveries["description"]
    assert asked["state"]["enum"] == list(DeliveryState)
    assert (asked["limit"]["default"], asked["limit"]["maximum"]) == (
        service.DELIVERIES,
        list_query.MAX_LIMIT,
    )
    assert f"More than {service.MAX_DELIVERIES} " in str(deliveries["parameters"])


def test_the_example_of_a_webhook_is_signed() -> None:
    """Writers of receivers can check their code with it: the body is the compact JSON of the example."""
    received = DOCUMENT["webhooks"]["event"]["post"]
    headers = {each["name"]: each["example"] for each in received["parameters"]}
    examples = received["requestBody"]["content"]["application/json"]["examples"]
    event = followed(examples["paid"])["value"]
    secret = DOCUMENT["components"]["examples"]["NewWebhook"]["value"]["secret"]

    assert secret in received["description"]
    assert headers["webhook-id"] == event["id"]
    assert headers["webhook-signature"] == sign(
        secret, event["id"], int(headers["webhook-timestamp"]), strict_json.write(event)
    )


def test_a_csv_file_has_the_documented_columns() -> None:
    export = DOCUMENT["paths"]["/lightning/invoices.csv"]["get"]["responses"]["200"]
    header = csv_lines.CsvLines(UTC).taken()

    assert export["content"]["text/csv"]["example"] == header.text
    assert f"may have {limits.Allowance().exports} exports" in export["description"]
    assert (
        export["headers"]["Content-Disposition"]["schema"]["example"]
        == dict(ATTACHMENT)["content-disposition"]
    )


def test_the_document_has_every_error_with_its_status_and_text() -> None:
    """Envoy's filter has the statuses; the first class of each code has the text."""
    statuses = dict(
        re.findall(r'\b(E\d+) = \{"(\d+)"', (ROOT / "server/tilld/envoy/response.lua").read_text())
    )
    texts = {each.code: each.default for each in errors.TillError.__subclasses__()}
    responses = [*DOCUMENT["components"]["responses"].values()]
    for _, _, operation in operations():
        responses += operation["responses"].values()
    told = {
        code: followed(example)["value"]
        for response in responses
        for code, example in _examples(response).items()
        if code.startswith("E")
    }

    assert SCHEMAS["Error"]["properties"]["error"]["x-extensible-enum"] == list(STATUS)
    assert statuses.keys() == texts.keys() == told.keys() == STATUS.keys()
    assert {code: value["error"] for code, value in told.items()} == {code: code for code in told}
    # The message of an invalid request is more specific than the default text.
    assert {code: value["message"] for code, value in told.items()} == texts | {"E1": "msat is missing"}
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            assert status < "300" or {statuses[code] for code in _examples(response)} == {status}
    [no_such_method] = _examples(DOCUMENT["components"]["responses"]["MethodNotAllowed"])
    assert statuses[no_such_method] == "405"


def _examples(response: dict[str, Any]) -> Any:
    return followed(response).get("content", {}).get("application/json", {}).get("examples", {})


def test_its_examples_are_valid() -> None:
    checked = 0
    for path, part in parts(DOCUMENT):
        if "schema" not in part or "text/event-stream" in path:
            continue
        examples = [part["example"]] if "example" in part else []
        examples += [followed(each)["value"] for each in part.get("examples", {}).values()]
        for example in examples:
            assert_valid(example, *path, "schema")
            checked += 1

    assert checked > 30


def test_its_examples_are_those_of_the_documents() -> None:
    invoices = DOCUMENT["paths"]["/lightning/invoice/create"]["post"]
    asked = invoices["requestBody"]["content"]["application/json"]["examples"]["documented"]["value"]
    told = DOCUMENT["paths"]["/lightning/info"]["get"]["responses"]["200"]["content"]
    examples = DOCUMENT["components"]["examples"]

    assert asked == json.loads(golden.CREATE_REQUEST)
    assert examples["Invoice"]["value"] == json.loads(golden.INVOICE)
    assert examples["E2"]["value"] == json.loads(golden.NOT_FOUND)
    assert told["application/json"]["examples"]["documented"]["value"] == json.loads(golden.INFO)


def test_its_example_of_a_watch_is_an_invoice() -> None:
    watch = DOCUMENT["paths"]["/lightning/invoice/{invoiceid}/watch"]["get"]
    stream = watch["responses"]["200"]["content"]["text/event-stream"]["example"]
    [data] = re.findall(r"^data: (.*)$", stream, re.MULTILINE)

    assert json.loads(data) == json.loads(golden.INVOICE)


PAID = an_invoice()._replace(
    description="d",
    label="l",
    status=Status.PAID,
    payment=Payment(1, 5000, NOON, "ab" * 32),
    amount_msat=5000,
)
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
REPORT = Report.of([ReportGroup("2026-11-21", 1, 5000)])
WEBHOOK = InvoiceWebhook("x" * 21, "https://shop.example", "whsec_x", "")
NODE = msgspec.convert(json.loads(golden.INFO)["nodeinfo"] | {"fees_collected_msat": 0}, NodeInfo)
INVREQ = invreq.Invreq.reserved(
    PAID.creator,
    invreq.InvreqTerms(1000, "d", label="l"),
    node_id=PAID.node_id,
    secret=b"",
    now=NOON,
)  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("Invoice", invoice_json.created(NewInvoice(PAID, EXISTED, WEBHOOK), "watch_x")),
        ("InvoicePage", list_json.page(Page([PAID], "next"))),
        ("InvoicePage", list_json.page(Page([], ""))),
        *(("Report", list_json.report(ReportTerms(NOVEMBER, by, UTC), REPORT)) for by in Grouping),
        ("Info", info_json.info(Info(Totals(), online=True, node=NODE))),
        ("Invreq", invreq_json.invreq(replace(INVREQ, invreq_id="ab" * 32, bolt12="lnr1qq"))),
        ("SentInvoice", sendinvoice_json.sent_invoice(Sent(PAID, 1, 2, "ab" * 32))),
    ],
)
def test_a_response_has_exactly_the_documented_fields(schema: str, text: str) -> None:
    """The fields have the documented order."""
    answer = json.loads(text)

    assert list(answer) == list(SCHEMAS[schema]["properties"])
    assert_valid(answer, schema)
    if schema == "Report":
        [group] = answer["groups"]
        assert len(group.keys() & {"type", "day", "key"}) == 1
    if schema == "Info":
        assert list(answer["nodeinfo"]) == list(SCHEMAS["NodeInfo"]["properties"])


def test_a_node_that_was_never_seen_is_null() -> None:
    answer = json.loads(info_json.info(Info(Totals(), online=False, node=None)))

    assert_valid(answer, "Info")
