"""schemathesis asks a running service everything that /openapi.json allows, and much that it does not.

It finds no server error, no answer, media type or document that is not described, no route that forgets its token, and
no wrong input that is accepted. It throws the same dice every time. About a minute.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

BINARY = Path(os.environ.get("ZOOPORT_BINARY", ".build/release/zooport")).resolve()
CONFIG = Path(__file__).resolve().parent.parent / "Fixtures/gpt2/config.json"
#: Of a model whose outputs are in folders.
PARAMS = CONFIG.parent.parent / "goldens/cs-2.10/llava/cs-2.2-to-hf-base/source/params.yaml"
#: Of each operation and kind of test; the number of requests does not depend on the speed of the machine.
EXAMPLES = 30
SEED = 1

EXCEPTIONS = """
# tus refuses another version of its protocol with 412.
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 411, 412, 413, 415, 422]

# Part of a JSON file is no JSON; what files hold is not the service's to describe.
[[operations]]
include-operation-id = ["downloadOutput", "downloadComponent"]
checks.response_schema_conformance.enabled = false

# Any bytes are a piece of a file, and HEAD answers clients that do not speak tus, too.
[[operations]]
include-operation-id = ["uploadOffset", "appendUpload", "createUpload"]
checks.negative_data_rejection.enabled = false

# A job that was just made has no outputs yet.
[[operations]]
include-path-regex = "/outputs"
checks.ensure_resource_availability.enabled = false
"""


@pytest.fixture
def service(tmp_path):
    """A service with a token: its address and the value of the Authorization header."""
    data = tmp_path / "data"
    token = subprocess.run(
        [BINARY, "token", "create", "tester", "--scope", "admin", "--data-dir", data],
        check=True, capture_output=True, text=True, timeout=30,
    ).stdout.strip()
    process = subprocess.Popen(
        [BINARY, "serve", "--port", "0", "--data-dir", data, "--retries", "0", "--log-level", "error"],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        yield process.stdout.readline().split()[-1], f"Bearer {token}"
        assert process.poll() is None, "the service died"
    finally:
        process.terminate()
        process.wait(timeout=30)


def call(service, method, path, body=None, content_type="application/json"):
    """One request; its answer, parsed."""
    address, authorization = service
    request = urllib.request.Request(
        address + path, method=method, data=body,
        headers={"Authorization": authorization, "Content-Type": content_type},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def make_jobs(service, count, **changes):
    """Succeeded jobs with outputs; all but the first reuse those of the first."""
    submission = {
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
        "config": {"inline": json.loads(CONFIG.read_text())}, **changes,
    }
    jobs = []
    for _ in range(count):
        job = call(service, "POST", "/v1/jobs", json.dumps(submission).encode())
        deadline = time.monotonic() + 30
        while job["status"] != "succeeded" and time.monotonic() < deadline:
            time.sleep(0.05)
            job = call(service, "GET", job["url"])
        assert job["status"] == "succeeded", job
        jobs.append(job)
    return jobs


def expected_routes(service):
    """Every method and path of the description."""
    return {
        (method.upper(), path)
        for path, methods in call(service, "GET", "/openapi.json")["paths"].items()
        for method in methods
    }


def reached_routes(service):
    """The methods and paths that have answered 2xx, as the service counts them."""
    address, authorization = service
    request = urllib.request.Request(address + "/metrics", headers={"Authorization": authorization})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    counter = re.compile(r'zooport_http_requests_total\{method="(.*?)",route="(.*?)",status="2\d\d"\} [1-9]')
    return set(counter.findall(text))


def page_file(service):
    """The path of a file of the page, as the page names it."""
    with urllib.request.urlopen(service[0] + "/", timeout=30) as answer:
        return re.search(r'"(/ui/[^"]+\.js)"', answer.read().decode())[1]


def walk(service):
    """Asks each route for something that it must do, but for cancelling: a job that waits is had by luck only."""
    address, authorization = service

    def ask(method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": authorization}
        request = urllib.request.Request(address + path, method=method, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert 200 <= answer.status < 300, (method, path, answer.status)
            return answer.headers

    tus = {"Tus_Resumable": "1.0.0"}
    bytes_ = {"Content_Type": "application/offset+octet-stream"}
    job, outputs = (lambda job: (job["url"], job["outputs"]))(make_jobs(service, 1)[0])
    params = call(service, "PUT", "/v1/uploads/params.yaml", PARAMS.read_bytes(), "application/octet-stream")["id"]
    (composed,) = make_jobs(service, 1, model="llava", src_fmt="cs-2.2", tgt_fmt="hf", config={"upload": params})
    part = f"{composed['url']}/outputs/image_model/config.json"
    for method, path in [
            ("GET", part), ("HEAD", part), ("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/openapi.json"),
            ("GET", "/v1/models"), ("GET", "/v1/models/gpt2"), ("OPTIONS", "/v1/uploads"), ("GET", "/v1/jobs"), ("GET", job),
            ("HEAD", job), ("GET", job + "/events"), ("PUT", job + "/pin"), ("DELETE", job + "/pin"), ("GET", job + "/outputs"),
            ("HEAD", job + "/outputs"), ("GET", outputs[0]["url"]), ("HEAD", outputs[0]["url"]),
            ("POST", outputs[0]["url"] + "/links"), ("POST", job + "/outputs/links"), ("POST", part + "/links"),
            ("POST", job + "/again"), ("GET", "/v1/me"), ("GET", "/v1/uploads"), ("GET", "/"), ("HEAD", "/"),
            ("GET", page_file(service)), ("HEAD", page_file(service)), ("DELETE", job)]:
        ask(method, path)
    body = json.dumps({
        "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
        "config": {"inline": json.loads(CONFIG.read_text())}}).encode()
    ask("POST", "/v1/plans", body, Content_Type="application/json")
    ask("PUT", "/v1/uploads/x.bin", b"x", Content_Type="application/octet-stream")
    upload = ask("POST", "/v1/uploads", b"", Upload_Length="2", Upload_Metadata="filename eC5iaW4=", **tus)["Location"]
    upload = upload.removeprefix(address)
    ask("HEAD", upload, **tus)
    ask("PATCH", upload, b"x", Upload_Offset="0", **tus, **bytes_)
    ask("POST", upload, b"y", Upload_Offset="1", X_HTTP_Method_Override="PATCH", **tus, **bytes_)
    ask("GET", upload)
    ask("DELETE", upload, **tus)


def test_description_is_true(service, tmp_path):
    jobs = make_jobs(service, 60)
    uploads = [call(service, "PUT", f"/v1/uploads/{i}.bin", b"x", "application/octet-stream") for i in range(60)]
    # Random values find nothing; these reach what is behind them, most of the time.
    values = {
        "path.version": [page_file(service).split("/")[2]],
        "path.asset": [page_file(service).split("/")[3]],
        "path.job": [job["id"] for job in jobs],
        "path.output": sorted({output["name"] for job in jobs for output in job["outputs"]}),
        "path.upload": [upload["id"] for upload in uploads],
        "path.model": ["gpt2", "bert"],
        # The uploads above have one byte: no more of it is what a client sends whose answer was lost.
        "header.Tus-Resumable": ["1.0.0"],
        "header.Upload-Offset": [1],
        "body.model": ["gpt2"],
        "body.src_fmt": ["hf"],
        "body.tgt_fmt": ["cs-1.8"],
    }
    hooks = tmp_path / "hooks.py"
    hooks.write_text(
        "import schemathesis\n"
        "schemathesis.serializer.alias('application/offset+octet-stream', 'application/octet-stream')\n")
    config = tmp_path / "schemathesis.toml"
    config.write_text("".join(
        f"[dictionaries.{name.replace('.', '-')}]\nvalues = {json.dumps(choices)}\n"
        f"[parameters.{json.dumps(name)}]\ndictionary = {json.dumps(name.replace('.', '-'))}\nprobability = 0.8\n"
        for name, choices in values.items()
    ) + EXCEPTIONS)

    address, authorization = service
    process = subprocess.run(
        [
            Path(sys.executable).parent / "st", "--config-file", config, "run", f"{address}/openapi.json",
            "--header", f"Authorization: {authorization}", "--request-timeout", "15", "--max-examples", str(EXAMPLES),
            "--seed", str(SEED), "--generation-deterministic",
            # A submission may fit its schema and still name a model that does not exist.
            "--exclude-checks", "positive_data_acceptance", "--no-color",
        ],
        cwd=tmp_path, env=os.environ | {"SCHEMATHESIS_HOOKS": str(hooks)}, capture_output=True, text=True, timeout=600,
    )
    assert process.returncode == 0, process.stdout[-12000:] + process.stderr[-2000:]
    # Most routes were reached and not only refused: what is found does depend on what the service answered before.
    cancel = {("POST", "/v1/jobs/{job}/cancel")}
    missed = expected_routes(service) - reached_routes(service) - cancel
    assert len(missed) <= 3, f"never answered with success: {sorted(missed)}"
    walk(service)
    missed = expected_routes(service) - reached_routes(service) - cancel
    assert not missed, f"described, and not tried above: {sorted(missed)}"
