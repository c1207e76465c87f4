"""Commands with a flag for each of their settings."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from till_cli.app import App
from tilld.config import Config
from tilld.config.advice import name_store
from tilld.config.fields import SWITCH, Setting
from tilld.config.settings import SETTINGS

Function = Callable[..., None]

# The reader of all settings.
EVERY = "every"


def command(app: App, reader: str, name: str | None = None) -> Callable[[Function], Function]:
    """Return a decorator that adds a function, whose first parameter is a Config, as a command.

    The command has a flag for each setting whose `commands` include `reader` or its first word, or for all
    settings.
    """
    names = {reader, reader.partition(" ")[0]}
    settings = [each for each in SETTINGS if reader == EVERY or names & {*each.commands}]
    flags = [each for each in settings if each.flag]
    variables = [each for each in settings if not each.flag]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def with_flags(**arguments: Any) -> None:
            given = {each.name: arguments.pop(each.name) for each in flags}
            # Typer may pass an empty list for a flag that was not given.
            config = Config.load(**{flag: None if value == [] else value for flag, value in given.items()})
            name_store(config)
            function(config, **arguments)

        _, *own = inspect.signature(function).parameters.values()
        with_flags.__signature__ = inspect.Signature([*own, *map(_parameter, flags)])  # type: ignore[attr-defined]
        app.command(name, epilog=_epilog(variables))(with_flags)
        return function

    return decorate


def _parameter(flag: Setting) -> inspect.Parameter:
    value: Any = bool if flag.metavar == SWITCH else list[str] if flag.is_list else str
    option = typer.Option(flag.flag, metavar=flag.metavar or None, help=_help(flag))
    annotation = Annotated[value | None, option]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(flag.name, kind, default=None, annotation=annotation)


def _help(flag: Setting) -> str:
    repeat = " Repeat the flag for several." * flag.is_list
    variable = flag.variable + ", comma-separated" * flag.is_list
    default = f"; default: {flag.default}" if flag.default and flag.metavar != SWITCH else ""
    return f"{flag.description}{repeat} [{variable}{default}]"


def _epilog(variables: list[Setting]) -> str:
    lines = [f"- {each.variable}: {each.description} [default: {each.default}]" for each in variables]
    return "\n\n".join(["Settings without a flag, by environment variable:", *lines])
