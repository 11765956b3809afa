"""What another program measured and saved: the due query's growth, by `bench/scale.py`."""

from __future__ import annotations

import json
from pathlib import Path

from bench.figures import Figure

SCALE = Path(__file__).parent / "results" / "scale.json"
_NAME = "due_10m_vs_10k"


def due_growth(path: Path = SCALE) -> dict[str, Figure]:
    """Return the figure out of the saved result; missing when there is none."""
    if not path.exists():
        why = f"there is no saved result of bench/scale.py at {path.name}"
        return {_NAME: Figure(None, why=why, missing=True)}
    value = json.loads(path.read_text()).get(_NAME)
    if not isinstance(value, int | float):
        why = f"the saved result of bench/scale.py has no {_NAME}"
        return {_NAME: Figure(None, why=why, missing=True)}
    return {_NAME: Figure(float(value))}
