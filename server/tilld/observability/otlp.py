"""Opens tracing only if it is asked for: OpenTelemetry takes time and memory, and may not be installed."""

from typing import TYPE_CHECKING

from tilld.config import Intervals
from tilld.errors import OperatorError

if TYPE_CHECKING:
    from tilld.observability.tracing import Tracing


def open_tracing(endpoint: str, intervals: Intervals) -> "Tracing":
    """Return the tracing of calls to a collector. Raises OperatorError without OpenTelemetry."""
    try:
        from tilld.observability.tracing import Tracing
    except ModuleNotFoundError:
        raise OperatorError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed; run: "
            "pip install 'lightning-till[otel]'"
        ) from None
    return Tracing(endpoint, intervals)
