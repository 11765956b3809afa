"""Makes the table of values in the chart's README out of the comments in values.yaml.

`python -m tests.chart.values_table` writes it. A comment that begins with "# --" is about the key below it
and everything in it.
"""

import json
import re

import yaml

from tests.chart.tools import ROOT

VALUES = ROOT / "helm" / "values.yaml"
README = ROOT / "helm" / "README.md"
BEGIN, END = "<!-- values: made by python -m tests.chart.values_table -->", "<!-- end of values -->"
LONGEST_DEFAULT = 60

_KEY = re.compile(r"(?P<indent> *)(?P<key>[\w.-]+):")


def documented(text):
    """Return path -> meaning for every key that has a comment of its own."""
    found, path, said = {}, [], ""
    for line in text.splitlines():
        if line.strip().startswith("# -- "):
            said = line.strip().removeprefix("# -- ")
        elif match := _KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if said:
                found[".".join(path)] = said
            said = ""
    return found


def leaves(values, path=()):
    """Yield every path that has a value and no keys below it."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key))


def undocumented(text):
    """Return the values that no comment is about, neither their own nor one of a group around them."""
    known = documented(text)
    return [path for path in leaves(yaml.safe_load(text)) if not _covers(known, path)]


def _covers(known, path):
    parts = path.split(".")
    return any(".".join(parts[:length]) in known for length in range(1, len(parts) + 1))


def table(text):
    """Return the table."""
    values = yaml.safe_load(text)
    rows = [
        f"| `{path}` | {_shown(_at(values, path))} | {meaning.replace('|', chr(92) + '|')} |"
        for path, meaning in documented(text).items()
    ]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def _at(values, path):
    for key in path.split("."):
        values = values[key]
    return values


def _shown(default):
    if default in ("", None, {}, []):
        return "none" if default in ("", None) else f"`{json.dumps(default)}`"
    shown = default if isinstance(default, str) else json.dumps(default)
    return f"`{shown}`" if len(shown) <= LONGEST_DEFAULT else "values.yaml"


def with_table(readme, text):
    """Return the README with the table of these values in its place."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(text)}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(), VALUES.read_text()))
