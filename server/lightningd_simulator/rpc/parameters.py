"""lightningd's checks of command parameters, and its error messages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lightningd_simulator.rpc.answers import Code, RpcError
from lightningd_simulator.rpc.requests import Object, Value, as_written

REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a command. `read` raises ValueError with the expected kind of value."""

    name: str
    read: Callable[[Value], Any]
    default: Any = REQUIRED


class BadParameter(RpcError):
    """Raised for an invalid value."""

    def __init__(self, name: str, problem: str, value: Value) -> None:
        super().__init__(Code.INVALID_PARAMS, f"{name}: {problem}: invalid token (see logs for details)")
        self.in_check = RpcError(
            Code.INVALID_PARAMS, f"{name}: {problem}: invalid token '{as_written(value)}'"
        )


def usage(parameters: Sequence[Parameter]) -> str:
    """Return the usage of parameters, as in `help`."""
    names = ((parameter.name, parameter.default is REQUIRED) for parameter in parameters)
    return " ".join(name if is_required else f"[{name}]" for name, is_required in names)


def bind(parameters: Sequence[Parameter], given: Value) -> dict[str, Any]:
    """Return the values of parameters that are given by name or position.

    Raises RpcError for the first error, in the order of the request.
    """
    match given:
        case Object(pairs):
            values = _by_name(parameters, pairs)
        case list():
            values = _by_position(parameters, given)
        case _:
            raise RpcError(Code.INVALID_PARAMS, "Expected array or object for params")
    for parameter in parameters:
        if parameter.name not in values:
            if parameter.default is REQUIRED:
                raise RpcError(Code.INVALID_PARAMS, f"missing required parameter: {parameter.name}")
            values[parameter.name] = parameter.default
    return values


def _by_name(parameters: Sequence[Parameter], pairs: Sequence[tuple[str, Value]]) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name not in known:
            raise RpcError(
                Code.INVALID_PARAMS,
                f"unknown parameter: {name}, this may be caused by a failure to autodetect key=value-style "
                "parameters. Please try using the -k flag and explicit key=value pairs of parameters.",
            )
        if name in values:
            raise RpcError(Code.INVALID_PARAMS, f"duplicate json names: {name}")
        values[name] = _read(known[name], value)
    return values


def _by_position(parameters: Sequence[Parameter], given: Sequence[Value]) -> dict[str, Any]:
    values = {
        parameter.name: _read(parameter, value)
        for parameter, value in zip(parameters, given, strict=False)
        if value is not None
    }
    if len(given) > len(parameters):
        raise RpcError(
            Code.INVALID_PARAMS, f"too many parameters: got {len(given)}, expected {len(parameters)}"
        )
    return values


def _read(parameter: Parameter, value: Value) -> Any:
    try:
        return parameter.read(value)
    except ValueError as problem:
        raise BadParameter(parameter.name, str(problem), value) from None
