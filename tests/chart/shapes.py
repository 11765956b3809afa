"""The shapes that the chart is rendered in: each values file in shapes/, and each example chart around it.

An example is rendered from a copy, so that the dependency which Helm packs into it is not left in the tree.
"""

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chart.helm import CHART, run

SHAPES = Path(__file__).parent / "shapes"
# The shape that turns everything on: whatever value is not used here is used nowhere.
EVERYTHING = "everything-on"


@dataclass(frozen=True)
class Shape:
    """A chart and the values that it is rendered with."""

    name: str
    chart: Path
    values: Path | None


@contextmanager
def all_shapes(chart=CHART, shapes=SHAPES):
    """Yield every shape, the examples' dependencies built."""
    found = [Shape(path.stem, chart, path) for path in sorted(shapes.glob("*.yaml"))]
    with tempfile.TemporaryDirectory(prefix="token-broker-chart-") as place:
        copy = Path(place) / chart.name
        shutil.copytree(chart, copy)
        for folder in sorted(path.parent for path in copy.glob("examples/*/Chart.yaml")):
            run("dependency", "update", "--skip-refresh", str(folder))
            found.append(Shape(f"example {folder.name}", folder, None))
        yield found
