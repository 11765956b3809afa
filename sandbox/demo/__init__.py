"""The demo: a small app that uses the broker, and a page that shows two tabs and what happens behind them.

Served by the process that supervises a run. Must import nothing of the broker: it speaks HTTP like any app.
"""

from __future__ import annotations

from sandbox.demo.app import Demo
from sandbox.demo.doors import mount

__all__ = ["Demo", "mount"]
