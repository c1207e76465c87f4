"""What an operator sets, and how long Till waits: built once, and handed down."""

from tilld.config.settings import Config
from tilld.config.values import Address

__all__ = ["Address", "Config"]
