"""Downloads by curl that break off and go on, as a person at a terminal does it."""

import base64
import hashlib
import os
import subprocess
import time

import checkpoints
import pytest
from service import Service, eventually


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return checkpoints.make(tmp_path_factory.mktemp("models"), checkpoints.MIDDLE)


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "data") as service:
        yield service


@pytest.fixture
def output(service, model):
    """The checkpoint that a job has made: a file of 60 MB."""
    inputs = [{"upload": service.upload(path)} for path in (model.config, model.weights)]
    ended = service.wait(service.submit(checkpoints.job(*inputs))["id"])
    assert ended["status"] == "succeeded", ended["error"]
    return max(ended["outputs"], key=lambda output: output["size"])


def curl(*arguments):
    process = subprocess.run(["curl", "-sS", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return process.returncode, process.stdout, process.stderr


def test_resumes_after_cuts_and_a_restart(service, output, tmp_path):
    """Cut off twice, the second time by a service that is killed: `curl -C -` brings the rest and nothing twice."""
    target = tmp_path / "model.mdl"
    status, _, _ = curl("-o", target, "--limit-rate", "20M", "--max-time", "1", service.base + output["url"])
    assert status == 28
    first = os.path.getsize(target)
    assert 0 < first < output["size"]

    process = subprocess.Popen(
        ["curl", "-sS", "-C", "-", "-o", target, "--limit-rate", "10M", service.base + output["url"]],
        stderr=subprocess.DEVNULL)
    eventually(lambda: os.path.getsize(target) > first, what="more bytes")
    service.kill()
    assert process.wait(30) != 0
    second = os.path.getsize(target)
    assert first < second < output["size"]

    service.start()
    status, sent, error = curl(
        "-C", "-", "-o", target, "-w", "%{http_code} %{size_download}", service.base + output["url"])
    assert status == 0, error
    assert sent == f"206 {output['size'] - second}"
    assert hashlib.sha256(target.read_bytes()).hexdigest() == output["sha256"]

    # A complete file has no rest.
    status, sent, _ = curl("-C", "-", "-o", target, "-w", "%{http_code}", service.base + output["url"])
    assert sent == "416"
    assert os.path.getsize(target) == output["size"]


def test_a_rest_is_of_the_same_file(service, output, tmp_path):
    """If-Range: the rest while the tag holds, the whole file when it does not; the digest is that of the whole."""
    address = service.base + output["url"]
    head = tmp_path / "head"
    _, sent, _ = curl("-I", "-D", head, "-o", "/dev/null", "-w", "%header{etag}", address)
    tag = sent.strip()
    digest = base64.b64encode(bytes.fromhex(output["sha256"])).decode()
    assert f"repr-digest: sha-256=:{digest}:" in head.read_text().lower().replace(digest.lower(), digest)
    for condition, expected in ((tag, f"206 {output['size'] - 1000}"), ('"other"', f"200 {output['size']}")):
        _, sent, _ = curl("-r", "1000-", "-H", f"If-Range: {condition}", "-o", "/dev/null",
                          "-w", "%{http_code} %{size_download}", address)
        assert sent == expected


def test_a_slow_reader_is_served_beside_others(service, output, tmp_path):
    """One who reads a kilobyte a second holds up nobody."""
    slow = subprocess.Popen(
        ["curl", "-sS", "-o", tmp_path / "slow", "--limit-rate", "1k", service.base + output["url"]])
    try:
        start = time.monotonic()
        status, _, error = curl("-o", tmp_path / "fast", service.base + output["url"])
        assert status == 0, error
        assert time.monotonic() - start < 20
        assert hashlib.sha256((tmp_path / "fast").read_bytes()).hexdigest() == output["sha256"]
    finally:
        slow.kill()
        slow.wait()


def test_a_wish_for_http2_does_not_hang_the_next_request(service):
    """`--http2` asks a plain connection for an upgrade, and reuses it."""
    status, sent, error = curl(
        "--http2", "--max-time", "20", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n",
        service.base + "/healthz", service.base + "/v1/models")
    assert status == 0, error
    assert sent == "200 1\n200 0\n"


def test_a_stop_lets_downloads_end(service, output, tmp_path):
    """What was asked for is sent to its last byte, though the reader is slower than the service."""
    target = tmp_path / "model.mdl"
    process = subprocess.Popen(
        ["curl", "-sS", "-o", target, "--limit-rate", "20M", service.base + output["url"]], stderr=subprocess.PIPE)
    eventually(lambda: target.exists() and os.path.getsize(target) > 0, what="some bytes")
    service.stop()
    assert process.wait(30) == 0, process.stderr.read()
    assert hashlib.sha256(target.read_bytes()).hexdigest() == output["sha256"]
