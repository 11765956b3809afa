"""The page on reliability names tests that exist, and leaves no fault out."""

import re

from tests.support.named import ROOT, missing_tests, named_tests

PAGE = (ROOT / "docs" / "reliability.md").read_text()
FAULTS = 52


def test_every_test_it_names_exists():
    assert len(named_tests(PAGE)) > FAULTS
    assert missing_tests(PAGE) == []


def test_every_fault_has_its_row():
    rows = [int(number) for number in re.findall(r"^\| F(\d+) [ABC] \|", PAGE, re.MULTILINE)]
    assert rows == list(range(1, FAULTS + 1))
