"""The part of a result that a request asks for with its `filter` (lightningd-rpc(7))."""

from typing import Any, TypeAlias

from lightningd_simulator.rpc.parameters import BadParameter
from lightningd_simulator.rpc.requests import Object, Value

# True is all there is.
Template: TypeAlias = "dict[str, Template] | list[Template] | bool"


def read(given: Value) -> Template:
    """Read a filter.

    Raises RpcError where it is none.
    """
    if not isinstance(given, Object):
        raise BadParameter("filter", "Expected object", given).in_check
    return _template(given) or True


def _template(given: Value) -> Template:
    match given:
        case Object(pairs):
            return {name: _template(value) for name, value in pairs}
        case [element]:
            # Of elements that are objects, true names no field.
            return [{} if element is True else _template(element)]
        case list():
            raise BadParameter("filter", "Arrays can only have one element", given).in_check
        case True:
            return True
        case _:
            raise BadParameter("filter", "value must be true", given).in_check


def apply(template: Template, result: Any) -> Any:
    """Take what the filter names out of a result; of what it takes for something else, nothing."""
    match result:
        case dict() if template is not True:
            members = template if isinstance(template, dict) else {}
            return {name: apply(members[name], value) for name, value in result.items() if name in members}
        case list() if template is not True:
            return [apply(template[0], each) for each in result] if isinstance(template, list) else []
        case _:
            return result
