"""The examples of the documents, run as they stand: curl, Python and commands, against a live service and a hub on loopback."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from documents import blocks
from hub import Hub
from safetensors.torch import save_file
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
    """The shell commands of a page, one by one, without those that set the address, build or start the service."""
    return [
        command for block in blocks(page) if re.match(r"(export|curl|make|zooport|ZOOPORT_URL=\S+|\.build/\S+) ", block)
        for command in statements(block) if command and not re.match(r"(export|make) ", command)]


def python(page):
    """The Python of a page as one script: later examples use what earlier ones have made."""
    return "\n\n".join(block for block in blocks(page) if re.match(r"(from|import) ", block))


@pytest.fixture(scope="module")
def hub():
    """Has the repository that the documents name, with a smaller model."""
    with Hub({"EleutherAI/gpt-j-6b": ROOT / "Tests/Fixtures/gpt2"}) as hub:
        yield hub


@pytest.fixture
def service(tmp_path, hub):
    with Service(tmp_path / "data", env={"HF_ENDPOINT": hub.endpoint}, disk_floor=0) as service:
        service.hub = hub
        yield service


@pytest.fixture
def desk(tmp_path):
    """A folder with a model, where somebody sits and types."""
    folder = tmp_path / "desk"
    shutil.copytree(ROOT / "Tests/Fixtures/gpt2", folder)
    for name, part in (("clip", "image_model"), ("vicuna", "text_model")):
        shutil.copytree(ROOT / "Tests/Fixtures/goldens/cs-2.10/llava/hf-to-cs-2.9-base/source" / part, folder / name)
    for path in (tmp_path / "bin/zooport", folder / ".build/release/zooport"):
        path.parent.mkdir(parents=True)
        path.symlink_to(BINARY)
    return folder


@pytest.fixture
def expected(tmp_path, zooport, desk):
    """What the command line makes of the model."""
    zooport("convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", tmp_path / "cli",
            desk / "pytorch_model.bin", "--config", desk / "config.json")
    return (tmp_path / "cli" / MODEL).read_bytes()


def run(service, desk, command):
    """Types a command; pages of huggingface.co are those of the hub on loopback. A failure of HTTP is a failure."""
    # `curl` prints what the server says and exits with a status of its own.
    prelude = "set -eo pipefail; curl() { command curl --fail-with-body \"$@\"; }; "
    process = subprocess.run(
        ["bash", "-c", prelude + command], cwd=desk, capture_output=True, timeout=120,
        env={"PATH": f"{desk.parent / 'bin'}:{os.environ['PATH']}", "BASE": service.base, "ZOOPORT_URL": service.base,
             "ZOOPORT_TOKEN": "", "XDG_CACHE_HOME": str(desk.parent / "cache"), "HF_ENDPOINT": service.hub.endpoint})
    text = process.stdout.decode(errors="replace")
    assert process.returncode == 0, f"{command}: {text} {process.stderr.decode()}"
    return text


def test_curl(service, desk, expected):
    # Those of the hub are run below.
    commands = [command for command in shell("rest.md") if '"hub"' not in command]
    assert len(commands) >= 9, "the examples are gone, or not found"
    job, downloads = None, 0
    for command in commands:
        if "-C -" in command:
            # Somebody pulled the plug half way.
            os.truncate(desk / MODEL, len(expected) // 2)
        text = run(service, desk, re.sub(r"\bID\b", job or "ID", command))
        if "-F model=" in command:
            made = JOB.search(text).group(1)
            service.wait(made, "succeeded")
            job = job if "llava" in command else made
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
    assert [("hub://" in command) for command in commands] == [False, True]
    for command in commands:
        shutil.rmtree(desk / "out", ignore_errors=True)
        run(service, desk, command)
        assert (desk / "out" / MODEL).read_bytes() == expected, command


def test_models_from_a_hub(service, desk, expected):
    """Whatever hub.md and rest.md do with a repository gives what the files themselves give."""
    commands = shell("hub.md") + [command for command in shell("rest.md") if '"hub"' in command]
    assert [command.split()[:2] for command in commands] == [
        ["zooport", "convert"], ["curl", "-s"], ["zooport", "submit"], ["zooport", "plan"], ["curl", "-s"]]
    for command in commands:
        shutil.rmtree(desk / "out", ignore_errors=True)
        before = len(service.hub.requests())
        text = run(service, desk, command)
        if command.startswith("curl"):
            ended = service.wait(JOB.search(text).group(1))
            assert service.outputs(ended)[MODEL] == expected, ended["error"]
        elif " plan " in command:
            assert "lm_head.weight" in text
        else:
            assert (desk / "out" / MODEL).read_bytes() == expected, command
        assert len(service.hub.requests()) > before, f"{command} asks no hub"


def test_readme(service, desk, expected):
    """Every command of README, in its order; where it names files of a training run, they are those of the first command."""
    commands = shell("../README.md")
    assert len(commands) == 11, commands
    weights = torch.load(desk / "pytorch_model.bin", weights_only=True)
    save_file({key: tensor.clone() for key, tensor in weights.items()}, desk / "model.safetensors")
    for index, command in enumerate(commands):
        text = run(service, desk, command.replace("localhost:8080", f"127.0.0.1:{service.port}"))
        if index == 0:
            assert (desk / MODEL).read_bytes() == expected
            (desk / MODEL).rename(desk / "checkpoint_10000.mdl")
            (desk / "config_to_cs-1.8.yaml").rename(desk / "params_train.yaml")
        elif "convert https://" in command:
            assert (desk / MODEL).read_bytes() == expected
        elif " plan " in command:
            assert "lm_head.weight" in text
        elif "submit" in command:
            assert (desk / "out" / MODEL).read_bytes() == expected
        elif command.startswith("curl"):
            assert service.wait(JOB.search(text).group(1))["status"] == "succeeded"
    assert (desk / "checkpoint_10000_to_hf.bin").exists()
