"""Sources of settings, the strongest first: flags, variables, the file of --config."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource

from tilld.config.fields import PREFIX, Setting
from tilld.errors import OperatorError

# Two ways to give one value: a source with either of them hides both in the weaker sources.
EITHER = frozenset({"database", "database_file"})


class Origin(NamedTuple):
    """The kind of a value's source: flag, variable, file or default. `name` is that of the source."""

    kind: str
    name: str | None = None


class Given(NamedTuple):
    """A value as its source has it."""

    value: Any
    origin: Origin


Source = Mapping[str, Given]


def collect(config: type[BaseSettings], settings: Iterable[Setting], flags: Mapping[str, Any]) -> Source:
    """Return the given values of all sources, by the names of the settings.

    Raises OperatorError for a file that cannot be used, and for settings that exclude each other.
    """
    values = EnvSettingsSource(config)()
    # The key of a setting whose variable has a name of its own is that variable.
    keys = {each: each.name if each.name in values else each.variable for each in settings}
    given = _merged(
        {
            each.name: Given(flags[each.name], Origin("flag", each.flag))
            for each in settings
            if flags.get(each.name) is not None
        },
        {
            each.name: Given(values[key], Origin("variable", each.variable))
            for each, key in keys.items()
            if key in values
        },
    )
    if "config" not in given:
        return given
    # Path.expanduser raises if there is no such user.
    file = Path(os.path.expanduser(given["config"].value))  # noqa: PTH111
    return _merged(given, _of_file(file, config, [each.name for each in settings if each.name != "config"]))


def explain(
    invalid: ValidationError, settings: Iterable[Setting], origins: Mapping[str, Origin]
) -> OperatorError:
    """Return the error for the first invalid value: its source, the value, and the reason."""
    error = invalid.errors()[0]
    setting = next(each for each in settings if error["loc"][0] in (each.name, each.variable))
    where = f"{setting.flag} ({setting.variable})" if setting.flag else setting.variable
    if origins[setting.name].kind == "file":
        where = _where(setting.name, origins[setting.name])
    value = error["input"]
    # A table or an array may contain a password.
    shown = "a table" if isinstance(value, dict) else "an array" if isinstance(value, list) else repr(value)
    reason = error["msg"].removeprefix("Value error, ")
    return OperatorError(f"{where} is {shown}: {reason}")


def _of_file(file: Path, config: type[BaseSettings], names: list[str]) -> Source:
    """Return the values of a TOML file. An empty text counts as unset, as in a variable."""
    try:
        if not file.is_file():
            raise OperatorError(f"--config (TILLD_CONFIG) is {str(file)!r}: there is no such file")
        values = TomlConfigSettingsSource(config, toml_file=file).toml_data
    except OSError as reason:
        raise OperatorError(
            f"--config (TILLD_CONFIG) is {str(file)!r}: {reason.strerror}; make it readable"
        ) from None
    except ValueError as reason:
        raise OperatorError(f"{file} is not valid TOML; correct it: {reason}") from None
    for name in [each for each in values if each not in names]:
        typed = name.lower().replace("-", "_").removeprefix(PREFIX.lower())
        nearest = get_close_matches(typed, names, 1)
        advice = f"did you mean {nearest[0]}?" if nearest else "'tilld config --example' has all names"
        raise OperatorError(f"{name} in {file} is not a setting; {advice}")
    origin = Origin("file", str(file))
    return {name: Given(value, origin) for name, value in values.items() if value != ""}


def _merged(*sources: Source) -> Source:
    """Return each value from the first source that has it."""
    found: dict[str, Given] = {}
    for source in sources:
        if source.keys() >= EITHER:
            both = " and ".join(_where(each, source[each].origin) for each in sorted(EITHER))
            raise OperatorError(f"{both} exclude each other; give one")
        hidden = found.keys() | (EITHER if found.keys() & EITHER else ())
        found |= {name: given for name, given in source.items() if name not in hidden}
    return found


def _where(setting: str, origin: Origin) -> str:
    return f"{setting} in {origin.name}" if origin.kind == "file" else str(origin.name)
