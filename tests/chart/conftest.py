"""Skips a chart test that needs a tool which is not there; on CI that is a failure."""

import os

import pytest

from tests.chart.tools import Missing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """A fixture that renders needs the tools."""
    return (yield from _unless_missing())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A test that renders needs the tools."""
    return (yield from _unless_missing())


def _unless_missing():
    try:
        return (yield)
    except Missing as missing:
        refuse = pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip
        refuse(f"This test of the chart did not run. {missing}")
