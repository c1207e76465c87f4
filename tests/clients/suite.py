"""Reads clients/conformance/suite.yaml, and compares its expectations with the answers of an agent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from till.v1 import event_service_pb2, invoice_service_pb2, webhook_service_pb2
from till.v1.event_pb2 import Event

FILE = Path(__file__).parent.parent.parent / "clients" / "conformance" / "suite.yaml"
SERVICES = (
    invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"],
    event_service_pb2.DESCRIPTOR.services_by_name["EventService"],
    webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
)
# The message of each method's answer. An agent reports the events of a stream one by one.
ANSWERS = {
    name: GetMessageClass(method.output_type)
    for service in SERVICES
    for name, method in service.methods_by_name.items()
} | {"WatchEvents": Event}

# The verb of a step, and its optional fields.
STEPS = {
    "connect": {"fails"},
    "call": {"request", "timeout_seconds", "as", "gives", "fails"},
    "start": {"request", "timeout_seconds", "as"},
    "list": {"method", "timeout_seconds", "limit", "as"},
    "export": {"timeout_seconds", "as"},
    "watch": {"timeout_seconds", "wait_for_ready", "connection", "as"},
    "events": {"timeout_seconds", "wait_for_ready", "connection", "limit", "as"},
    "next": {"gives", "takes", "as"},
    "end": {"gives", "fails", "takes", "skips", "as"},
    "lost": {"attempts", "fails", "takes"},
    "back": {"takes"},
    "apart": {"seconds"},
    "cancel": set(),
    "pay": {"amount_msat"},
    "till": set(),
    "node": set(),
    "relay": set(),
    "key_file": set(),
    "create_key": {"as"},
    "revoke_key": set(),
    "prune": set(),
    "delivery": {"gives", "as"},
    "answer": set(),
    "watchers": set(),
    "streams": set(),
}


@dataclass(frozen=True)
class Matches:
    """A text that a regular expression matches in full."""

    pattern: str

    def __eq__(self, value: object) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Between:
    """A number, bounds included."""

    low: float
    high: float

    def __eq__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class OneOf:
    """Any of these."""

    values: tuple[Any, ...]

    def __eq__(self, value: object) -> bool:
        return value in self.values


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!matches", lambda _, node: Matches(node.value))
_Loader.add_constructor("!between", lambda _, node: Between(*(float(each.value) for each in node.value)))
_Loader.add_constructor("!one_of", lambda _, node: OneOf(tuple(each.value for each in node.value)))


def load() -> list[dict[str, Any]]:
    """Return the cases. Raise ValueError for an unknown step."""
    cases: list[dict[str, Any]] = yaml.load(FILE.read_text(), _Loader)["cases"]
    for case in cases:
        for step in case["steps"]:
            verb, *others = step
            if verb not in STEPS or not STEPS[verb].issuperset(others):
                raise ValueError(f"suite.yaml, {case['name']!r}: no such step: {step}")
    return cases


def filled(value: Any, names: dict[str, Any]) -> Any:
    """Replace all references in a value: $created.invoice.bolt11, or ${unique} inside a text."""
    match value:
        case str() if re.fullmatch(r"\$[\w.]+", value):
            return _named(value.removeprefix("$"), names)
        case str():
            return re.sub(r"\$\{([\w.]+)\}", lambda found: str(_named(found[1], names)), value)
        case dict():
            return {key: filled(each, names) for key, each in value.items()}
        case list():
            return [filled(each, names) for each in value]
    return value


def _named(path: str, names: dict[str, Any]) -> Any:
    found: Any = names
    for part in path.split("."):
        found = found[part]
    return found


def canonical(method: str, message: Any) -> dict[str, Any]:
    """Return a response in one form, for any valid form of proto3 JSON. Raise ParseError if it has none."""
    parsed = json_format.ParseDict(message, ANSWERS[method]())
    return json_format.MessageToDict(parsed, always_print_fields_with_no_presence=True)


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each difference. An unmentioned field may have any value; None means absent."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, wanted in expected.items():
            where = f"{path}.{name}".removeprefix(".")
            yield from differences(wanted, actual.get(name), where)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, (wanted, found) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(wanted, found, f"{path}[{number}]")
    elif expected != actual:
        yield f"{path or 'it'} must be {expected!r}, and is {actual!r}"
