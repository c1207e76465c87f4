"""Writes openapi.json from the types of bodies and responses, and from openapi.yaml. Run by make."""

import json
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tilld.errors import TillError
from tilld.rest_api.health_servicer import HealthJson, ReadinessJson
from tilld.rest_api.schemas import fields
from tilld.rest_api.schemas.create_json import CreateInvoice
from tilld.rest_api.schemas.event_json import (
    DisabledWebhookJson,
    EventJson,
    EventPageJson,
    GapJson,
    InvoiceImportJson,
)
from tilld.rest_api.schemas.info_json import InfoJson
from tilld.rest_api.schemas.invoice_json import InvoiceJson
from tilld.rest_api.schemas.invreq_json import CreateInvreq, InvreqJson
from tilld.rest_api.schemas.list_json import InvoicePageJson, ReportJson
from tilld.rest_api.schemas.sendinvoice_json import SendInvoice, SentInvoiceJson
from tilld.rest_api.schemas.webhook_json import (
    AttemptJson,
    CreateWebhook,
    DeliveriesJson,
    PingJson,
    ReplayEvents,
    UpdateWebhook,
    WebhookJson,
    WebhooksJson,
)

PROSE = Path(__file__).with_name("openapi.yaml")
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
TYPES = (
    AttemptJson,
    CreateInvoice,
    CreateWebhook,
    DeliveriesJson,
    DisabledWebhookJson,
    EventJson,
    EventPageJson,
    GapJson,
    InvoiceImportJson,
    InvoiceJson,
    InvoicePageJson,
    ReportJson,
    SendInvoice,
    SentInvoiceJson,
    InfoJson,
    CreateInvreq,
    InvreqJson,
    HealthJson,
    PingJson,
    ReadinessJson,
    ReplayEvents,
    UpdateWebhook,
    WebhookJson,
    WebhooksJson,
)
NAMED = {msgspec.json.schema(each)["title"]: each for each in fields.COMPONENTS}
REF = "#/components/schemas/{name}"
# E1 has no default message that could serve as an example: each message names the field.
MESSAGES = {each.code: each.default for each in TillError.__subclasses__()} | {"E1": "msat is missing"}


def document() -> str:
    """Return the document."""
    prose = yaml.safe_load(PROSE.read_text())
    version = tomllib.loads(PROJECT.read_text())["project"]["version"]
    prose["info"] = {"version": version} | prose["info"]
    errors = prose.pop("errors")
    for item in prose["paths"].values():
        for operation in item.values():
            operation["responses"] |= _error_responses(operation.pop("errors"), errors)
    components = prose["components"]
    components["schemas"] = _schemas(components["schemas"])
    for code, error in errors.items():
        value = {"error": code, "message": MESSAGES[code]}
        components["examples"][code] = {"summary": error["summary"], "value": value}
    components["responses"] = {error["name"]: _response([code], errors) for code, error in errors.items()}
    return json.dumps(prose, ensure_ascii=False, indent=2) + "\n"


def _error_responses(codes: Iterable[str], errors: Any) -> dict[str, Any]:
    """Return the error responses of an operation; errors with the same status share one response."""
    by_status: dict[str, list[str]] = {}
    for code in codes:
        by_status.setdefault(errors[code]["status"], []).append(code)
    return {
        status: {"$ref": f"#/components/responses/{errors[same[0]]['name']}"}
        if len(same) == 1
        else _response(same, errors)
        for status, same in sorted(by_status.items())
    }


def _response(codes: list[str], errors: Any) -> dict[str, Any]:
    headers = {name: each for code in codes for name, each in errors[code].get("headers", {}).items()}
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    schema = {"$ref": REF.format(name="Error")}
    return {
        "description": " ".join(f"{code}. {errors[code]['summary']}" for code in codes),
        **({"headers": headers} if headers else {}),
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }


def _schemas(more: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of the types, merged with those in openapi.yaml."""
    _, generated = msgspec.json.schema_components(TYPES, ref_template=REF)
    named = {name: msgspec.json.schema(kind) for name, kind in NAMED.items()}
    found = {name.removesuffix("Json"): _tidy(each, named) for name, each in generated.items()}
    found |= {name: _tidy(each, {}) for name, each in named.items()}
    for schema in found.values():
        for field in schema.get("properties", {}).values():
            _list_types(field, found)
    return {name: found.get(name, {}) | more.get(name, {}) for name in sorted(found | more)}


def _tidy(schema: Any, named: dict[str, Any]) -> Any:
    """Refer to named types, and mark integers, enums and objects so that clients accept later versions."""
    if isinstance(schema, list):
        return [_tidy(each, named) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if (name := schema.get("title")) in named:
        rest = {key: each for key, each in schema.items() if named[name].get(key) != each}
        return {"$ref": REF.format(name=name), **rest}
    tidy = {key: _tidy(each, named) for key, each in schema.items() if key != "title"}
    if "$ref" in tidy:
        tidy["$ref"] = tidy["$ref"].removesuffix("Json")
    if tidy.get("type") == "integer":
        tidy["format"] = "int64"
    if "enum" in tidy:
        tidy["type"] = "string"
    if tidy.get("type") == "object":
        tidy.setdefault("additionalProperties", True)
    return tidy


def _list_types(field: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Express anyOf with null or an array as a list of types: few generators support it."""
    match field.get("anyOf"):
        case [{"type": "boolean"} as one, {"type": "array"} as other]:
            field |= field.pop("anyOf")[1] | {"type": [one["type"], other["type"]]}
        case [{"$ref": str(ref)}, {"type": "null"}] | [{"type": "null"}, {"$ref": str(ref)}]:
            del field["anyOf"]
            field["$ref"] = ref
            other = schemas[ref.rpartition("/")[2]]
            other["type"] = [other["type"], "null"]
        case [{"type": kind}, {"type": "null"}]:
            field |= field.pop("anyOf")[0] | {"type": [kind, "null"]}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document())
