"""Filters a result by the `filter` of its request (lightningd-rpc(7))."""

from typing import Any, TypeAlias

from lightningd_simulator.rpc.parameters import BadParameter
from lightningd_simulator.rpc.requests import Object, Value

# True passes everything.
Template: TypeAlias = "dict[str, Template] | list[Template] | bool"


def read(given: Value) -> Template:
    """Return the template of a filter.

    Raises RpcError if the filter is malformed.
    """
    if not isinstance(given, Object):
        raise BadParameter("filter", "Expected object", given).in_check
    return _template(given) or True


def _template(given: Value) -> Template:
    match given:
        case Object(pairs):
            return {name: _template(value) for name, value in pairs}
        case [element]:
            # For elements that are objects, true selects no field.
            return [{} if element is True else _template(element)]
        case list():
            raise BadParameter("filter", "Arrays can only have one element", given).in_check
        case True:
            return True
        case _:
            raise BadParameter("filter", "value must be true", given).in_check


def apply(template: Template, result: Any) -> Any:
    """Return the parts of a result that the filter names. Parts of another kind become empty."""
    match result:
        case dict() if template is not True:
            members = template if isinstance(template, dict) else {}
            return {name: _member(members[name], value) for name, value in result.items() if name in members}
        case list() if template is not True:
            return [apply(template[0], each) for each in result] if isinstance(template, list) else []
        case _:
            return result


def _member(template: Template, value: Any) -> Any:
    """Return the parts of a member. For an object, true selects only members that are objects or arrays."""
    if template is True and isinstance(value, dict):
        return {name: each for name, each in value.items() if isinstance(each, dict | list)}
    return apply(template, value)
