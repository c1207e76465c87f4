"""Commands that messages suggest to the operator, for the store and the node of this process."""

import shlex

from tilld.config.settings import Config
from tilld.config.values import without_password

_of_store: list[str] = []
_of_node: list[str] = []


def name_store(config: Config) -> None:
    """Add the settings that are not the default to every suggested command."""
    _of_store[:] = []
    if config.data_dir != Config.model_fields["data_dir"].default:
        _of_store.extend(("--data-dir", str(config.data_dir)))
    if config.database:
        _of_store.extend(("--database", without_password(config.database)))
    _of_node[:] = ["--lightning-rpc", str(config.lightning_rpc)] if config.lightning_rpc else []


def shell_command(*words: str) -> str:
    """Return a shell command, such as tilld doctor --repair, without the database's password."""
    of_node = _of_node if words[0] in ("doctor", "import") else []
    return shlex.join(["tilld", *words, *of_node, *_of_store])
