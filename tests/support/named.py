"""What a page of the documentation names, and whether it is there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def named_tests(text):
    """Return every `file.py::test` of a text, as pairs; files are below tests/."""
    named = set(re.findall(r"`([\w/]+\.py)::(\w+)`", text))
    return sorted((file, name) for file, name in named if name.startswith("test_"))


def missing_tests(text):
    """Return those of them that do not exist."""
    return [f"{file}::{name}" for file, name in named_tests(text) if name not in names_in(file)]


@cache
def names_in(file):
    """Return the names of the functions of a file of tests."""
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
