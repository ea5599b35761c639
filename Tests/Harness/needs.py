"""What a test needs and a machine may not have."""

import os

import pytest


def missing(what):
    """Skips the test, with the reason; fails it where the variable CI is set, so that nothing passes there untested."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
