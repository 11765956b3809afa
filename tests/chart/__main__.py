"""`python -m tests.chart`: lints, renders and judges the chart in every shape, then the Compose file.

Its last line is one JSON object of figures. Exit code 0 when no gate found anything, 1 when one did, 2 when a
tool is missing.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tests.chart.campaign import GATES, check_kube_version, run_campaign
from tests.chart.compose import COMPOSE_FILE, check_compose
from tests.chart.helm import CHART, Refused
from tests.chart.shapes import EVERYTHING, SHAPES, all_shapes
from tests.chart.tools import missing_tools
from tests.chart.values import check_values
from tests.chart.versions import KUBE_VERSIONS


def main(argv=None):
    """Run every check; returns the exit code."""
    arguments = _parser().parse_args(argv)
    missing = missing_tools(KUBE_VERSIONS)
    if missing:
        sys.stderr.write("\n".join(missing) + "\n")
        return 2
    try:
        figures, failed = check(arguments.chart, arguments.shapes, arguments.compose_file, say)
    except (Refused, OSError) as broken:
        sys.stderr.write(f"The chart could not be checked: {broken}\n")
        return 1
    sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if failed else 0


def check(chart, shapes, compose_file, say):
    """Check the chart and the Compose file; returns the figures and whether anything is wrong."""
    started_at = time.monotonic()
    values = _values(shapes)
    if not values:
        raise Refused(f"there is no shape in {shapes}")
    with all_shapes(chart, shapes) as found:
        outcome = run_campaign(found)
    outcome.findings += check_kube_version(chart)
    tried, wrong = check_values(values, chart)
    composed = check_compose(compose_file)
    for finding in outcome.exempted:
        say(f"exempted: {finding}")
    for finding in [*outcome.findings, *wrong, *composed]:
        say(str(finding))
    figures = outcome.figures()
    figures |= {"wrong_values_tried": tried, "wrong_values_taken": len(wrong), "compose": len(composed)}
    failed = any(figures[gate] for gate in (*GATES, "wrong_values_taken", "compose"))
    return figures | {"seconds": round(time.monotonic() - started_at, 1)}, failed


def _values(shapes):
    """Return the shapes' values, first those that use the most."""
    return sorted(shapes.glob("*.yaml"), key=lambda path: (path.stem != EVERYTHING, path.stem))


def say(text):
    """Write one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.chart", description=__doc__.splitlines()[0])
    parser.add_argument("--chart", type=Path, default=CHART, help="the chart's folder")
    parser.add_argument("--shapes", type=Path, default=SHAPES, help="the folder of the shapes' values")
    parser.add_argument("--compose-file", type=Path, default=COMPOSE_FILE, help="the Compose file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
