"""Descriptions of settings for the help and the documents, stored in the fields of Config."""

from typing import Any, NamedTuple, get_origin

from pydantic import Field
from pydantic.fields import FieldInfo

# Groups of commands that share settings.
ALL = ("run", "envoy", "doctor", "import", "backup", "key", "webhook")
STORE = ("run", "doctor", "import", "backup", "key", "webhook")
NODE = ("run", "doctor", "import")
SERVERS = ("run", "envoy")
RUN = ("run",)
ENVOY = ("envoy",)
# Commands that post to the URLs of webhooks, or check them.
WEBHOOKS = ("run", "webhook create", "webhook test")

# The metavar of a flag that takes no value.
SWITCH = ""
PREFIX = "TILLD_"


def setting(
    default: Any,
    commands: tuple[str, ...],
    description: str,
    metavar: str | None = None,
    *,
    shown: str | None = None,
    **more: Any,
) -> Any:
    """Return a field of Config with its description for the help and the documents.

    `commands` read the setting. A setting with a `metavar` is also a flag of these commands.
    `shown` replaces the default's text in the help.
    """
    known: dict[str, Any] = {"commands": commands, "metavar": metavar, "shown": shown}
    return Field(default, description=description, json_schema_extra=known, **more)


class Setting(NamedTuple):
    """A setting, as the help and the documents show it."""

    name: str
    variable: str
    flag: str | None
    metavar: str | None
    is_list: bool
    default: str
    description: str
    commands: tuple[str, ...]

    @classmethod
    def of(cls, name: str, field: FieldInfo) -> "Setting":
        """Return the setting that a field of Config describes."""
        known: Any = field.json_schema_extra
        is_list = get_origin(field.annotation) is tuple
        default = "" if field.default is None else str(field.default)
        if is_list:
            default = ", ".join(map(str, field.default))
        elif isinstance(field.default, bool):
            default = default.lower()
        return cls(
            name=name,
            variable=str(field.validation_alias or f"{PREFIX}{name.upper()}"),
            flag=None if known["metavar"] is None else f"--{name.replace('_', '-')}",
            metavar=known["metavar"],
            is_list=is_list,
            default=known["shown"] or default,
            description=str(field.description),
            commands=known["commands"],
        )
