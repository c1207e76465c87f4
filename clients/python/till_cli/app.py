"""The typer app of the commands `till` and `tilld`: their help shows no type for flags."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, --help among them."""
        return _without_type(super().get_params(ctx))


class Group(TyperGroup):
    """A command that has commands."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, --help among them."""
        return _without_type(super().get_params(ctx))


class App(typer.Typer):
    """A program, or a group of its commands."""

    def __init__(self, cls: type[Group] = Group, **settings: Any) -> None:
        super().__init__(cls=cls, no_args_is_help=True, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """Add a command: see typer.Typer.command."""
        return super().command(name, cls=Command, **settings)


def _without_type(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            # Typer shows <bool> for None.
            param.metavar = ""
    return params
