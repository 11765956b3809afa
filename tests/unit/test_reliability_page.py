"""The page on reliability names tests that exist, and leaves no fault out."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
FAULTS = 52


@cache
def names_in(file):
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_it_names_exists():
    assert [f"{file}::{name}" for file, name in NAMED if name not in names_in(file)] == []


def test_every_fault_has_its_row():
    rows = [int(number) for number in re.findall(r"^\| F(\d+) [ABC] \|", PAGE, re.MULTILINE)]
    assert rows == list(range(1, FAULTS + 1))
