"""The operator's settings, and Till's fixed intervals. Both are built once and passed down."""

from tilld.config.intervals import USUAL, Intervals, Pauses
from tilld.config.settings import Config
from tilld.config.values import Address

__all__ = ["USUAL", "Address", "Config", "Intervals", "Pauses"]
