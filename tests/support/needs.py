"""What a test does where a tool it needs is missing: it skips and says why, and on CI it fails."""

import os

import pytest


def need(*missing):
    """Skip with these sentences, if there are any; on CI that is a failure."""
    if missing:
        refuse = pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip
        refuse("This test did not run. " + " ".join(missing))
