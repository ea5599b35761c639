"""What RUNBOOK.md tells somebody to type, as far as it can be typed here."""

import json
import re
import subprocess

import checkpoints
import pytest
from service import BINARY, Service, environment


@pytest.fixture(scope="module")
def runbook(deploy):
    return (deploy / "RUNBOOK.md").read_text()


@pytest.fixture(scope="module")
def journal(tmp_path_factory, tiny):
    """The log of a real service as journald has it, between lines that are no JSON; the job and the token in it."""
    folder = tmp_path_factory.mktemp("journal") / "data"
    folder.mkdir()
    token = subprocess.run(
        [BINARY, "token", "create", "ci", "--data-dir", folder], capture_output=True, text=True, check=True,
        env=environment()).stdout.strip()
    with Service(folder, disk_floor=0) as service:
        service.token = token
        ids = [{"upload": service.upload(file)} for file in (tiny.config, tiny.weights)]
        job = service.wait(service.submit(checkpoints.job(*ids))["id"])
        service.stop()
    text = (
        "Zooport listens on http://127.0.0.1:8080\n" + service.log.read_text() +
        '{"level":"error","message":"queue not readable","cause":"x"}\n{"cut off\nStarted zooport.service\n')
    return text, job["id"]


def commands(runbook):
    return [command.replace("\\|", "|") for command in re.findall(r"`[^`]*(jq [^`]*'[^`]*')`", runbook)]


def test_every_search_of_the_log_finds_something(runbook, journal):
    """Lines that are no JSON, systemd's and those of a crash, are passed over."""
    text, job = journal
    found = commands(runbook)
    assert len(found) == runbook.count("jq ") >= 4
    for command in found:
        result = subprocess.run(
            ["bash", "-c", command.replace('"ID"', f'"{job}"').replace('"NAME"', '"ci"')], input=text, capture_output=True,
            text=True, timeout=30)
        assert result.returncode == 0, f"{command}: {result.stderr}"
        assert [json.loads(line) for line in result.stdout.splitlines()], f"{command} finds nothing"


def test_the_search_for_a_job_finds_all_of_its_lines(runbook, journal):
    text, job = journal
    (command,) = [command for command in commands(runbook) if ".job" in command]
    result = subprocess.run(["bash", "-c", command.replace("ID", job)], input=text, capture_output=True, text=True)
    messages = [json.loads(line)["message"] for line in result.stdout.splitlines()]
    assert messages == ["job queued", "job started", "job succeeded"]


def test_every_request_is_answered_where_tokens_are_needed(runbook, tmp_path, tiny):
    """With the header file that the first lines make."""
    requests = re.findall(r"`(curl [^`]*)`", runbook)
    assert len(requests) == runbook.count("curl ") >= 6
    (setup,) = re.findall(r"^    (read .*)$", runbook, re.MULTILINE)
    (tmp_path / "data").mkdir()
    token = subprocess.run(
        [BINARY, "token", "create", "duty", "--scope", "admin", "--data-dir", tmp_path / "data"], capture_output=True,
        text=True, check=True, env=environment()).stdout.strip()
    header = tmp_path / "header"
    with Service(tmp_path / "data", disk_floor=0) as service:
        service.token = token
        variables = environment(Z=service.base, A=header, NO_PROXY="127.0.0.1")
        subprocess.run(["bash", "-c", setup], input=token + "\n", text=True, check=True, env=variables)
        assert header.stat().st_mode & 0o777 == 0o600
        ids = [{"upload": service.upload(file)} for file in (tiny.config, tiny.weights)]
        for request in requests:
            job = service.wait(service.submit(checkpoints.job(*ids))["id"])
            command = request.replace("curl ", "curl --fail-with-body ").replace("jobs/ID", f"jobs/{job['id']}")
            result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, env=variables)
            assert result.returncode == 0, f"{command}: {result.stdout}"
