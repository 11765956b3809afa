"""Who may import whom.

The broker decides, adapters touch the world, api and worker are doors, wiring introduces them.
"""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOUNDATION = ("settings", "secrets", "logs", "metrics", "tracing")
MAY_IMPORT = {
    "service.broker": ["service.broker"],
    "service.broker.model": ["service.broker.model"],
    "service.broker.errors": [],
    "service.broker.expiry": ["service.broker.model", "service.broker.errors"],
    "service.broker.policy": [f"service.broker.{lower}" for lower in ("model", "errors", "expiry")],
    "service.broker.ports": [f"service.broker.{lower}" for lower in ("model", "errors", "ports")],
    "service.broker.flights": [f"service.broker.{lower}" for lower in ("model", "errors", "ports")],
    "service.adapters": [
        "service.adapters",
        *(f"service.broker.{lower}" for lower in ("model", "errors", "ports")),
    ],
    "service.api": ["service.api", "service.broker"],
    "worker": ["worker", "service.broker"],
    # The two processes' own mains: settings and wiring meet the doors and the jobs here.
    "worker.main": [
        "worker",
        *(f"service.{room}" for room in ("broker", "wiring", "wired", "settings", "tracing")),
    ],
    "service.wired": [f"service.{room}" for room in ("broker", "adapters", "tracing")],
    "service.beside": [f"service.{room}" for room in ("wired", "broker", "adapters", *FOUNDATION)],
    "service.wiring": [
        f"service.{room}" for room in ("wiring", "wired", "beside", "broker", "adapters", *FOUNDATION)
    ]
    + ["sql.files"],
    **{f"service.{room}": [f"service.{lower}" for lower in ("broker", *FOUNDATION)] for room in FOUNDATION},
    "service": ["service", "worker", "sql"],
    "sql": ["sql"],
}
# Who else imports it needs the extra that brings it.
ONLY_IN = {"opentelemetry": "service.tracing"}
OURS = {"service", "worker", "sql", "sandbox", "tests", "bench", "supply"}


def within(name, room):
    return name == room or name.startswith(f"{room}.")


def imports(module, source):
    """Yield what a module imports, by full name, and whether only when a function of it is called."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {inner for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in late) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = [*package, *([node.module] if node.module else [])]
            yield from ((".".join([*base, alias.name]), node in late) for alias in node.names)


def violations(module, source):
    """Return the names a module imports and may not."""
    room = max((room for room in MAY_IMPORT if within(module, room)), key=len)
    allowed = MAY_IMPORT[room]
    return [name for name, late in imports(module, source) if not permitted(module, name, late, allowed)]


def permitted(module, name, late, allowed):
    top = name.partition(".")[0]
    if top in ONLY_IN:
        return within(module, ONLY_IN[top])
    if top not in OURS:
        return not within(module, "service.broker") or top in sys.stdlib_module_names
    if top == "sandbox" and within(module, "service.cli"):
        return late
    return any(within(name, room) for room in allowed)


def production():
    """Give every module of production code with its source; a package is its `__init__`."""
    files = sorted(path for room in ("service", "worker", "sql") for path in (ROOT / room).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text() for path in files}


def test_production_code_keeps_to_its_rooms():
    found = {module: violations(module, source) for module, source in production().items()}
    assert "service.broker.policy" in found
    assert {module: names for module, names in found.items() if names} == {}


def test_no_module_of_the_broker_imports_itself_through_others():
    broker = {
        module: source for module, source in production().items() if module.startswith("service.broker.")
    }
    graph = {
        module: {other for other in broker for name, _ in imports(module, source) if within(name, other)}
        for module, source in broker.items()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("service.broker.refresh", "import aiohttp"),
        ("service.broker.refresh", "from service.adapters import postgres"),
        ("service.broker.policy", "from service.broker.ports import Clock"),
        ("service.broker.model", "from . import errors"),
        ("service.broker.ports", "from .policy import on_read"),
        ("service.adapters.cache", "from service.broker import policy"),
        ("service.adapters.cache", "from service.broker.refresh import refresh_user"),
        ("service.adapters.upstream.wire", "from ...api import errors"),
        ("service.api.public", "from service.adapters.cache import Cache"),
        ("service.api.public", "def late():\n    import worker.jobs"),
        ("worker.jobs", "from service.api.errors import status"),
        ("service.wiring", "from service.api import public"),
        ("service.logs", "import service.adapters"),
        ("service.cli", "import sandbox.embedded"),
        ("service.cli", "def dev():\n    import tests.support"),
        ("service.wiring", "def late():\n    from sandbox.embedded import servers"),
        ("sql.migrate", "from service.adapters import postgres"),
        ("worker.main", "import bench.load"),
        ("service.wiring", "def late():\n    from opentelemetry import trace"),
        ("service.broker.flights", "from service.tracing import start_tracing"),
        ("service.api.frame", "from service.tracing.spans import Tracing"),
    ],
)
def test_a_planted_violation_is_found(module, source):
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("service.broker.refresh", "import asyncio\nfrom service.broker import flights, policy, ports"),
        ("service.adapters.upstream.wire", "import aiohttp\nfrom .exchange import Exchange"),
        ("service.cli", "def dev():\n    from sandbox.embedded import servers"),
        ("service.wiring", "from service import metrics"),
        ("service.tracing.spans", "from opentelemetry import trace"),
    ],
)
def test_what_the_rules_allow_is_not_reported(module, source):
    assert violations(module, source) == []
