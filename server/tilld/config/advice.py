"""Commands that messages suggest to the operator, for the store and the node of this process."""

import shlex
from collections.abc import Iterator

from tilld.config.settings import Config
from tilld.config.values import without_password

_of_store: list[str] = []
_of_node: list[str] = []


def name_store(config: Config) -> None:
    """Add the settings that are not the default to every suggested command."""
    _of_store[:] = _flags(config, "config", "data_dir", "database", "database_file")
    _of_node[:] = _flags(config, "lightning_rpc")


def _flags(config: Config, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(config, name)
        # The flag --config gives the values of the file.
        if value != Config.model_fields[name].default and config.origin(name).kind != "file":
            yield from (f"--{name.replace('_', '-')}", without_password(str(value)))


def shell_command(*words: str) -> str:
    """Return a shell command, such as tilld doctor --repair, without the database's password."""
    of_node = _of_node if words[0] in ("doctor", "import") else []
    return shlex.join(["tilld", *words, *of_node, *_of_store])
