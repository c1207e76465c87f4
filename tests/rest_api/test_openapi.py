"""The OpenAPI document says what the code does."""

import inspect
import json
import re
from importlib import metadata, resources
from pathlib import Path

import pytest
import yaml
from google.api import annotations_pb2
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource

from till.v1 import rest_invreq_service_pb2, rest_service_pb2
from tilld import errors, ids, invreq, order, sending, watch_token
from tilld.grpc_api.errors_interceptor import STATUS
from tilld.rest_api import parse, parse_invreq, rest_invreq_servicer
from tilld.rest_api import sending as rest_sending
from tilld.rest_api.render import info, invoice
from tilld.strict_json import MAX_LEVELS, MAX_WHOLE

ROOT = Path(__file__).parents[2]
GOLDEN = (ROOT / "tests" / "golden" / "000_a7e52c048fb9dfbe.txt").read_text()
DOCUMENT = json.loads(resources.files("tilld.rest_api").joinpath("openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
REGISTRY = Registry().with_resource("", Resource.opaque(DOCUMENT))
