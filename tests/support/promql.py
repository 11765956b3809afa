"""Reads the expressions of the alerts and the dashboard: which metrics, labels and values they ask for.

Not a parser of PromQL: Prometheus itself says whether an expression is one. This finds the names in it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from service.metrics import Metrics
from service.metrics.figures import Series

FILES = Path(__file__).parents[2] / "helm" / "files"
RULES = FILES / "rules.yaml"
DASHBOARD = FILES / "dashboard.json"
# What a scrape adds to every series, and histograms to their buckets.
TARGET_LABELS = frozenset({"namespace", "job", "instance", "pod", "le"})

_SELECTOR = re.compile(r"\b((?:token_broker|process)_\w+|up)\b(?!\s*\()(?:\s*\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_VARIABLE = re.compile(r"\$\{?__rate_interval\}?")


@dataclass(frozen=True)
class Selector:
    """One metric an expression asks for, with its matchers: (label, operator, value)."""

    metric: str
    matchers: tuple

    @property
    def family(self):
        """The metric's name without what a histogram's series are called after it."""
        return re.sub(r"_(bucket|sum|count)$", "", self.metric)


def alerts():
    """Every alert by its name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels():
    """Every panel of the dashboard that is no row."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    """Every expression, by the alert or the panel it belongs to, with Grafana's variables filled in."""
    found = [(name, rule["expr"]) for name, rule in alerts().items()]
    for panel in panels():
        found += [(f"{panel['title']}/{one['refId']}", filled(one["expr"])) for one in panel["targets"]]
    return found


def filled(expr):
    """Fill in what Grafana would: everything, over five minutes."""
    expr = _VARIABLE.sub("5m", expr).replace("$__range", "1h")
    return re.sub(r"\$(namespace|job|client)\b", ".*", expr)


def selectors(expr):
    """Return what an expression asks for."""
    return [
        Selector(metric, tuple(_MATCHER.findall(matchers))) for metric, matchers in _SELECTOR.findall(expr)
    ]


def grouped_by(expr):
    """Return every label that an expression groups or joins by."""
    named = (name.strip() for group in _GROUPING.findall(expr) for name in group.split(","))
    return {name for name in named if name}


def registered():
    """Every metric of ours as it is scraped, with its labels."""
    metrics = Metrics()
    lone = [metrics.last_sweep_timestamp_seconds, metrics.webhook_waiting, metrics.webhook_oldest_seconds]
    series = [*vars(metrics).values(), *lone]
    found = (one._metric for one in series if isinstance(one, Series))
    return {f"{one._name}{'_total' * (one._type == 'counter')}": set(one._labelnames) for one in found}
