"""What the interop tests share: the binary under test and a way to run it."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def zooport():
    """Runs the binary named by ZOOPORT_BINARY; fails the test with what it said when it fails."""
    binary = Path(os.environ.get("ZOOPORT_BINARY", ".build/release/zooport")).resolve()

    def run(*arguments):
        process = subprocess.run([str(binary), *map(str, arguments)], capture_output=True, text=True, timeout=120)
        assert process.returncode == 0, f"status {process.returncode}: {process.stderr}"
        return process

    return run
