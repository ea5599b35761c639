"""Headers and bodies over their limits, and clients that are too slow."""

import contextlib
import json
import subprocess
import threading
import time
from pathlib import Path

import checkpoints
import pytest
from service import BINARY, Service, eventually
from wire import Wire, drip, is_dropped

MIB = 1 << 20


@pytest.mark.parametrize("fields", [
    {"X-Long": "x" * 20_000}, {"X-Long": "x" * 1_000_000}, {f"X-{index}": "y" for index in range(200)},
    {f"X-{index}": "y" * 8_000 for index in range(20)}], ids=["16 KiB", "1 MB", "200 fields", "160 KB in all"])
def test_headers_over_the_limit(service, fields):
    start = time.monotonic()
    with Wire(service.port) as wire:
        wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n")
        answer = wire.read()
    assert not answer or answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 431 ")), answer
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("length, status", [(16_000, 404), (17_000, 400), (1_000_000, 400)])
def test_request_line_over_the_limit(service, length, status):
    """16 KiB are read and answered; more is refused as soon as it has come."""
    with Wire(service.port) as wire:
        wire.send("GET /" + "x" * length + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert wire.read().startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize("length, status", [(16_000, 200), (17_000, 400)])
def test_one_field_over_the_limit(service, length, status):
    with Wire(service.port) as wire:
        wire.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: " + "x" * length + "\r\n\r\n")
        assert wire.read().startswith(f"HTTP/1.1 {status} ")


def test_body_over_the_limit(service):
    announced = service.send("PUT", "/v1/uploads/x", b"x" * (MIB + 1))
    assert (announced.status, announced.json["code"]) == (413, "too_large")
    chunked = service.send("PUT", "/v1/uploads/x", iter([b"x" * MIB, b"x"]), {"Transfer-Encoding": "chunked"})
    assert (chunked.status, chunked.json["code"]) == (413, "too_large")
    assert service.send("PUT", "/v1/uploads/x", b"x" * MIB).status == 201
    eventually(lambda: not list((service.folder / "incoming").iterdir()), 5)


@pytest.mark.parametrize("path, size, status", [
    ("/v1/uploads/x", MIB + 1, 413), ("/v1/elsewhere", 5, 404), ("/v1/models", 5, 405), ("/v1/uploads/x", MIB, 201)])
def test_curl_keeps_a_body_that_is_refused(service, tmp_path, path, size, status):
    """curl waits for 100 Continue, hears the refusal instead, and sends nothing."""
    (tmp_path / "file").write_bytes(b"x" * size)
    start = time.monotonic()
    result = subprocess.run(
        ["curl", "-s", "-T", tmp_path / "file", "-H", "Expect: 100-continue", "--expect100-timeout", "20",
         "-w", "%{http_code} %{size_upload}", "-o", tmp_path / "answer", service.base + path],
        capture_output=True, text=True, check=False)
    assert result.stdout == f"{status} {size if status == 201 else 0}", (result, (tmp_path / "answer").read_text())
    assert time.monotonic() - start < 10, "nobody told curl to go on"


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A service where a token may store 10 MiB, and such a token."""
    with Service(
            tmp_path_factory.mktemp("limited") / "data", workers=1, disk_floor=0, shutdown=1,
            token_storage_limit="10MiB") as service:
        service.token = subprocess.run(
            [BINARY, "token", "create", "ann", "--scope", "submit,read", f"--data-dir={service.folder}"],
            capture_output=True, text=True, check=True).stdout.split()[-1]
        yield service


def test_form_over_the_limit_of_a_token(limited, tmp_path):
    """curl hears it before it sends anything."""
    (tmp_path / "model.bin").write_bytes(bytes(20 * MIB))
    result = subprocess.run(
        ["curl", "-s", "-F", "model=gpt2", "-F", f"checkpoint=@{tmp_path}/model.bin", "-H", "Expect: 100-continue",
         "-H", f"Authorization: Bearer {limited.token}", "-w", "%{http_code} %{size_upload}", "-o", tmp_path / "answer",
         limited.base + "/v1/jobs"], capture_output=True, text=True, check=False)
    assert result.stdout == "507 0", (tmp_path / "answer").read_text()
    problem = json.loads((tmp_path / "answer").read_text())
    assert problem["limit"] == {"name": "token-storage-limit", "value": 10 * MIB}


def test_growing_upload_over_the_limit_of_a_token(limited):
    """Without a length it is stopped at the next checkpoint."""
    stored = 0

    def size(file):
        with contextlib.suppress(FileNotFoundError):
            return file.stat().st_size
        return 0

    def pieces():
        nonlocal stored
        for _ in range(300):
            stored = max([stored, *(size(file) for file in limited.folder.glob("incoming/*/*"))])
            yield bytes(MIB)

    answer = limited.send("PUT", "/v1/uploads/x", pieces(), {"Transfer-Encoding": "chunked"})
    assert (answer.status, answer.json["code"]) == (507, "limit_reached")
    assert 10 * MIB < stored < 80 * MIB
    eventually(lambda: not list((limited.folder / "incoming").iterdir()), 5)
    assert not list((limited.folder / "uploads").iterdir())


def test_stop_during_an_upload(limited):
    """Nothing is left of it, and nobody has to look for a fault."""
    with Wire(limited.port) as wire:
        wire.send(
            f"PUT /v1/uploads/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {limited.token}\r\n"
            f"Content-Length: {5 * MIB}\r\n\r\n" + "x" * MIB)
        eventually(lambda: list((limited.folder / "incoming").iterdir()), 5)
        assert limited.stop() == 0
    assert not list((limited.folder / "incoming").iterdir())
    answers = [line for line in limited.lines() if line["message"] == "request answered" and line.get("status") == "503"]
    assert [(line["code"], line["level"]) for line in answers] == [("unavailable", "warning")]
    assert not [line for line in limited.lines() if line.get("level") == "error"]


def test_submission_over_the_limit(service):
    body = json.dumps({"config": {"inline": {"x": "y" * (20 * MIB)}}}).encode()
    answer = service.send("POST", "/v1/jobs", body, {"Content-Type": "application/json"})
    assert (answer.status, answer.json["code"]) == (413, "too_large")


@pytest.mark.parametrize("body", [
    b"[" * 100_000, b'{"a":' * 100_000, b'{"config":{"inline":' + b"[" * 50_000 + b"]" * 50_000 + b"}}", b"\xff\xfe{}",
    b"", b"null", b"[]", b'{"model":"\\ud800"}', b"1" * 1_000_000, b'{"model":1e999999}',
    b'{"config":{"upload":"../../lock"},"model":"gpt2","src_fmt":"hf","tgt_fmt":"cs-1.8"}'])
def test_hostile_json_is_refused(service, body):
    start = time.monotonic()
    answer = service.send("POST", "/v1/jobs", body, {"Content-Type": "application/json"})
    assert answer.status in (400, 413, 422), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert time.monotonic() - start < 10


def test_slow_clients_are_dropped_while_others_are_served(tmp_path, tiny):
    """A header that drips, a body that drips, a reader that stops, and one that never speaks: each goes within 150 s."""
    limit = 150
    with Service(tmp_path / "data", disk_floor=0) as service:
        # A download that does not fit into the buffers of the kernel.
        wide = checkpoints.make(tmp_path, checkpoints.Shape("wide", 512, 4, 2000))
        ids = [{"upload": service.upload(file)} for file in (wide.config, wide.weights)]
        job = service.wait(service.submit(checkpoints.job(*ids))["id"])
        output = max(job["outputs"], key=lambda output: output["size"])
        dropped = {}

        def header():
            with Wire(service.port) as wire:
                dropped["header"] = drip(wire, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 10_000, 1, limit)

        def body():
            with Wire(service.port) as wire:
                wire.send("PUT /v1/uploads/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
                dropped["body"] = drip(wire, b"x" * 10_000, 1, limit)

        def silent():
            start = time.monotonic()
            with Wire(service.port, timeout=limit) as wire:
                assert wire.read() == ""
            dropped["silent"] = time.monotonic() - start

        def reader():
            # The client reads nothing; the connection is gone when the service holds no open file of the output.
            with Wire(service.port, receive_buffer=4096) as wire:
                wire.send(f"GET {output['url']} HTTP/1.1\r\nHost: localhost\r\n\r\n")
                start = time.monotonic()
                eventually(lambda: opened(service, output["name"]), 10, "the download")
                eventually(lambda: not opened(service, output["name"]), limit, "the end of the download")
                dropped["reader"] = time.monotonic() - start

        threads = [threading.Thread(target=run) for run in (header, body, silent, reader)]
        for thread in threads:
            thread.start()
        slowest = 0
        while any(thread.is_alive() for thread in threads):
            start = time.monotonic()
            assert service.get("/healthz").status == 200
            slowest = max(slowest, time.monotonic() - start)
            time.sleep(0.2)
        assert dropped.keys() == {"header", "body", "silent", "reader"}, f"not dropped within {limit} s: {dropped}"
        assert slowest < 5
        eventually(lambda: not list((service.folder / "incoming").iterdir()), 5, "an empty incoming folder")
        print("\ndropped after", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(dropped.items())))


def opened(service, name):
    """Whether the process has a file of this name open."""
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        try:
            if link.readlink().name == name:
                return True
        except OSError:
            continue
    return False


def test_many_idle_connections_do_not_keep_others_out(service):
    wires = [Wire(service.port) for _ in range(500)]
    for wire in wires:
        wire.send("GET /healthz HTTP/1.1\r\n")
    start = time.monotonic()
    for _ in range(20):
        assert service.get("/healthz").status == 200
    assert time.monotonic() - start < 10
    assert [wire for wire in wires if is_dropped(wire)] == [], "to make room for others, some were dropped"
    for wire in wires:
        wire.socket.close()
