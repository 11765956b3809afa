"""Fixtures of the supply chain's tests."""

import pytest

from tests.supply.trees import Tree


@pytest.fixture
def tree(tmp_path):
    """Two packages, each locked, asked for and without an advisory."""
    return Tree(tmp_path)
