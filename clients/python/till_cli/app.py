"""The typer app of `till` and `tilld`. Its help shows no type for flags."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose help shows no type for flags."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, including --help."""
        return _without_type(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose help shows no type for flags."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, including --help."""
        return _without_type(super().get_params(ctx))


class App(typer.Typer):
    """A program, or a group of its commands."""

    def __init__(self, cls: type[Group] = Group, **settings: Any) -> None:
        super().__init__(cls=cls, **{"no_args_is_help": True} | settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """Register a command: see typer.Typer.command."""
        return super().command(name, cls=Command, **settings)


def _without_type(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            # Typer shows <bool> for None.
            param.metavar = ""
    return params
