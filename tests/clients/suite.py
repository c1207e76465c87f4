"""clients/conformance/suite.yaml, and how its expectations are compared with what an agent answered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from till.v1 import invoice_service_pb2

FILE = Path(__file__).parent.parent.parent / "clients" / "conformance" / "suite.yaml"
METHODS = invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"].methods_by_name

# What a step does, and what else it may say.
STEPS = {
    "connect": {"fails"},
    "call": {"request", "timeout_seconds", "as", "gives", "fails"},
    "start": {"request", "timeout_seconds", "as"},
    "watch": {"timeout_seconds", "as"},
    "next": {"gives", "as"},
    "end": {"gives", "fails", "as"},
    "cancel": set(),
    "pay": {"amount_msat"},
    "till": set(),
    "node": set(),
    "relay": set(),
    "watchers": set(),
}


@dataclass(frozen=True)
class Matches:
    """A text that a regular expression matches from end to end."""

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
    """The cases, each with `name`, `steps` and maybe `till`. Raises ValueError for a step that is none."""
    cases: list[dict[str, Any]] = yaml.load(FILE.read_text(), _Loader)["cases"]
    for case in cases:
        for step in case["steps"]:
            verb, *others = step
            if verb not in STEPS or not STEPS[verb].issuperset(others):
                raise ValueError(f"suite.yaml, {case['name']!r}: no such step: {step}")
    return cases


def filled(value: Any, names: dict[str, Any]) -> Any:
    """A value with all references such as $created.invoice.bolt11 replaced by what they stand for."""
    match value:
        case str() if value.startswith("$"):
            found: Any = names
            for part in value.removeprefix("$").split("."):
                found = found[part]
            return found
        case dict():
            return {key: filled(each, names) for key, each in value.items()}
        case list():
            return [filled(each, names) for each in value]
    return value


def canonical(method: str, message: Any) -> dict[str, Any]:
    """A response in the one form that is compared, whichever form of proto3 JSON it came in.

    Raises ParseError where it is none.
    """
    parsed = json_format.ParseDict(message, GetMessageClass(METHODS[method].output_type)())
    return json_format.MessageToDict(parsed, always_print_fields_with_no_presence=True)


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """In what an answer is not as expected, a line each.

    What nothing is said of may be anything; None: it is absent.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, wanted in expected.items():
            where = f"{path}.{name}".removeprefix(".")
            yield from differences(wanted, actual.get(name), where)
    elif expected != actual:
        yield f"{path or 'it'} must be {expected!r}, and is {actual!r}"
