"""Gives the chart wrong values: each must be refused with a message that names the value.

Every key of values.yaml is given a value of another type, and every group of keys one that does not exist. A
group that Kubernetes defines, such as a securityContext, may let a wrong value through to the manifest, where
the schema of its kind refuses it. What no group may do is to drop it silently.
"""

import re
from concurrent.futures import ThreadPoolExecutor

import yaml

from tests.chart.helm import CHART, Refused, template
from tests.chart.manifests import documents_of
from tests.chart.problems import Problem
from tests.chart.schemas import validate
from tests.chart.versions import KUBE_VERSIONS

UNKNOWN = "noSuchValue"
AT_ONCE = 2


def check_values(bases, chart=CHART):
    """Return how many wrong values were tried on these shapes, and a problem for each that was taken."""
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    left, tried = [], 0
    for batch in _batches(defaults):
        tried += len(batch)
        # Helm names at once everything that the schema refuses; only the rest costs a run each.
        said, _ = _rendered(bases[0], chart, merge_in(batch))
        left += [(path, wrong) for path, wrong in batch if not _is_named(path, said)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda each: _judge(bases, chart, *each), left))
    return tried, [problem for problem in found if problem]


def _batches(defaults):
    """Yield lists of path and wrong value that can be tried in one run: no path lies within another."""
    found = list(keys(defaults))
    yield [(path, {UNKNOWN: 1}) for path, value in found if not isinstance(value, dict)]
    groups = [path for path, value in found if isinstance(value, dict)]
    for depth in sorted({len(path) for path in groups}):
        yield [(path, "wrong") for path in groups if len(path) == depth]
    yield [((*path, UNKNOWN), "x") for path in [(), *groups]]


def keys(values, path=()):
    """Yield every path in the defaults and its value."""
    for key, value in values.items():
        yield (*path, key), value
        if isinstance(value, dict):
            yield from keys(value, (*path, key))


def _is_named(path, said):
    """Whether a line of Helm's message is about this value: Helm writes '/a/b', our own templates a.b."""
    unknown = path[-1] == UNKNOWN
    group = path[:-1] if unknown else path
    name = rf"(/{re.escape('/'.join(group))}|\b{re.escape('.'.join(group))})([/.]{UNKNOWN})?"
    # The name ends there: a line about /service/replicas is not about /service.
    names = re.compile(rf"{name}(?![/.]?[\w-])")
    # Helm's own remarks about merging name every value that is no longer a group, whatever is wrong.
    lines = [line for line in said.splitlines() if not line.startswith("level=")]
    return any(names.search(line) and (UNKNOWN in line or not unknown) for line in lines)


def _judge(bases, chart, path, wrong):
    """Try one value alone, on each shape until one uses it; returns the problem, if there is one."""
    for base in bases:
        said, text = _rendered(base, chart, merge_in([(path, wrong)]))
        if said:
            return None if _is_named(path, said) else _problem(path, f"is not named by: {said[:300]}")
        if path[-1] == UNKNOWN and UNKNOWN in text:
            # A label, an annotation, the name of something: the user's own word, and it is used.
            return None
        if any(validate(document, KUBE_VERSIONS[-1]) for document in documents_of(text)):
            return None
    return _problem(path, f"{wrong} was taken")


def _rendered(base, chart, given):
    """Return Helm's refusal and what it rendered: one of them is empty."""
    try:
        return "", template([base, given], chart=chart)
    except Refused as refused:
        return str(refused), ""


def merge_in(batch):
    """Return the values in which every one of these paths has its value."""
    merged = {}
    for path, wrong in batch:
        group = merged
        for key in path[:-1]:
            group = group.setdefault(key, {})
        group[path[-1]] = wrong
    return merged


def _problem(path, text):
    return Problem("values", "values.yaml", ".".join(path), text)
