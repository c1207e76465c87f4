"""The composition root."""

from tilld.app.till import Running, Till, run

__all__ = ["Running", "Till", "run"]
