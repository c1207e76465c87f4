"""The OpenAPI document, and validation against its schemas."""

import json
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENT: Any = json.loads(resources.files("tilld.rest_api").joinpath("openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
_URN = "urn:till"
_REGISTRY: Registry[Any] = Registry().with_resource(_URN, DRAFT202012.create_resource(DOCUMENT))


def assert_valid(value: Any, *path: str | int) -> None:
    """Validate a value against the schema at a path of the document, or against a named schema."""
    path = path if len(path) > 1 else ("components", "schemas", *path)
    pointer = "/".join(str(each).replace("~", "~0").replace("/", "~1") for each in path)
    Draft202012Validator({"$ref": f"{_URN}#/{pointer}"}, registry=_REGISTRY).validate(value)
