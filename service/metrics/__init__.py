"""Hears what happens in the broker: one event is one log line and the figures that hang on it.

Decides nothing. Must import nothing of this program but the broker's words and the logs.
"""

from service.metrics.figures import CONTENT_TYPE, Metrics
from service.metrics.telemetry import Telemetry

__all__ = ["CONTENT_TYPE", "Metrics", "Telemetry"]
