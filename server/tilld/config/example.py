"""An example of the file of --config."""

import json
import textwrap
from collections.abc import Iterable, Iterator

from tilld.config.fields import Setting
from tilld.config.settings import Config

HEAD = """\
# Settings of tilld, with their defaults, commented out. An empty text counts as unset.
# Flags and environment variables override this file.
"""


def example(defaults: Config, settings: Iterable[Setting]) -> str:
    """Return a TOML file with all settings as comments, which can be removed line by line."""
    return "\n".join([HEAD, *_lines(defaults, settings)])


def _lines(defaults: Config, settings: Iterable[Setting]) -> Iterator[str]:
    values = defaults.model_dump(mode="json", exclude={"config"})
    for each in settings:
        if each.name in values:
            yield from textwrap.wrap(each.description, 100, initial_indent="# ", subsequent_indent="# ")
            # The syntax of JSON for texts, numbers, booleans and arrays is also that of TOML.
            value = values[each.name]
            form = f"  # {each.metavar}" if each.metavar else ""
            yield f"#{each.name} = {json.dumps('' if value is None else value)}{form}\n"
