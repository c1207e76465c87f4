"""What an operator sets, and how long Till waits: built once, and handed down."""

from tilld.config.intervals import USUAL, Intervals, Pauses
from tilld.config.settings import Config
from tilld.config.values import Address

__all__ = ["USUAL", "Address", "Config", "Intervals", "Pauses"]
