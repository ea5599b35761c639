"""The examples of the documents, run as they stand against a live service: curl, Python and the client commands."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import blocks
from service import BINARY, Service

ROOT = Path(__file__).resolve().parents[2]
JOB = re.compile(r'"url":"/v1/jobs/([0-9a-z]{26})"')
MODEL = "pytorch_model_to_cs-1.8.mdl"


def statements(block):
    """The commands of a block; one goes on while a quote is open or a line ends in a backslash."""
    found, pending = [], ""
    for line in block.replace("\\\n", " ").splitlines():
        pending += line
        try:
            shlex.split(pending, comments=True)
        except ValueError:
            pending += "\n"
            continue
        found.append(pending)
        pending = ""
    assert not pending, f"a quote is never closed: {pending}"
    return found


def shell(page):
    """The shell commands of a page, one by one, without those that set the address or need another host than the service."""
    commands = []
    for block in blocks(page):
        if re.match(r"(export|curl|zooport) ", block):
            commands += [
                command for command in statements(block)
                if not command.startswith("export ") and "https://" not in command and "hub://" not in command]
    return commands


def python(page):
    """The Python of a page as one script: later examples use what earlier ones have made."""
    return "\n\n".join(block for block in blocks(page) if re.match(r"(from|import) ", block))


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "data", disk_floor=0) as service:
        yield service


@pytest.fixture
def desk(tmp_path):
    """A folder with a model, where somebody sits and types."""
    folder = tmp_path / "desk"
    shutil.copytree(ROOT / "Tests/Fixtures/gpt2", folder)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/zooport").symlink_to(BINARY)
    return folder


@pytest.fixture
def expected(tmp_path, zooport, desk):
    """What the command line makes of the model."""
    zooport("convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", tmp_path / "cli",
            desk / "pytorch_model.bin", "--config", desk / "config.json")
    return (tmp_path / "cli" / MODEL).read_bytes()


def run(service, desk, command):
    """Types a command. A failure of HTTP is a failure."""
    # `curl` prints what the server says and exits with a status of its own.
    prelude = "set -eo pipefail; curl() { command curl --fail-with-body \"$@\"; }; "
    process = subprocess.run(
        ["bash", "-c", prelude + command], cwd=desk, capture_output=True, timeout=120,
        env={"PATH": f"{desk.parent / 'bin'}:{os.environ['PATH']}", "BASE": service.base, "ZOOPORT_URL": service.base,
             "ZOOPORT_TOKEN": "", "XDG_CACHE_HOME": str(desk.parent / "cache")})
    text = process.stdout.decode(errors="replace")
    assert process.returncode == 0, f"{command}: {text} {process.stderr.decode()}"
    return text


def test_curl(service, desk, expected):
    commands = shell("rest.md")
    assert len(commands) >= 9, "the examples are gone, or not found"
    job, downloads = None, 0
    for command in commands:
        if "-C -" in command:
            # Somebody pulled the plug half way.
            os.truncate(desk / MODEL, len(expected) // 2)
        text = run(service, desk, re.sub(r"\bID\b", job or "ID", command))
        if "-F model=" in command:
            job = JOB.search(text).group(1)
            service.wait(job, "succeeded")
        if "outputs" in command:
            downloads += 1
            assert (desk / MODEL).read_bytes() == expected, command
            if "tar" not in command:
                continue
            assert (desk / "config_to_cs-1.8.yaml").exists()
    assert downloads == 3


def test_python(service, desk, expected):
    script = python("rest.md")
    assert "TusClient" in script and "urlopen" in script
    process = subprocess.run(
        [sys.executable, "-c", f"BASE = {service.base!r}\n{script}"], cwd=desk, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert (desk / MODEL).read_bytes() == expected


def test_client_commands(service, desk, expected):
    commands = shell("client.md")
    assert commands
    for command in commands:
        run(service, desk, command)
    assert (desk / "out" / MODEL).read_bytes() == expected
