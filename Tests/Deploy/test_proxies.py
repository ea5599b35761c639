"""nginx and Caddy in front of the service, with the configurations that are shipped."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import threading
import time

import checkpoints
import pytest
from nginx import Nginx, free_port
from origin import Origin
from service import BINARY, Answer, Service, environment, eventually

MIB = 1 << 20


class Proxy:
    """Where the service is reached through a proxy."""

    def __init__(self, port, certificate=None):
        self.port, self.certificate = port, certificate

    def connect(self, timeout=30):
        if not self.certificate:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self.certificate)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)

    def send(self, method, path, body=None, headers=None, timeout=30):
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    @property
    def base(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def site(deploy, folder, service):
    """The shipped site in front of a service; only addresses and the certificate are others."""
    folder = folder.with_name(folder.name + "-nginx")
    folder.mkdir()
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    port, plain = free_port(), free_port()
    site = (deploy / "nginx.conf").read_text()
    for old, new in {
            "127.0.0.1:8080": f"127.0.0.1:{service.port}", "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;", "/etc/ssl/zooport.crt": str(certificate),
            "/etc/ssl/zooport.key": str(key)}.items():
        assert site.count(old) == 1, f"{old} is not once in nginx.conf"
        site = site.replace(old, new)
    with Nginx(folder / "nginx", site, port=port):
        proxy = Proxy(port, certificate)
        proxy.plain = plain
        proxy.temporary = folder / "nginx"
        yield proxy


@pytest.fixture(scope="module")
def nginx(deploy, service, tmp_path_factory):
    with site(deploy, tmp_path_factory.mktemp("site"), service) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def caddy(deploy, service, tmp_path_factory):
    program = shutil.which("caddy")
    assert program, "caddy is missing; scripts/setup.sh test installs it"
    port, home = free_port(), tmp_path_factory.mktemp("caddy")
    variables = environment(
        ZOOPORT_SITE=f"http://127.0.0.1:{port}", ZOOPORT_UPSTREAM=f"127.0.0.1:{service.port}", HOME=home, XDG_DATA_HOME=home,
        XDG_CONFIG_HOME=home)
    config = home / "Caddyfile"
    # Another Caddy of this machine may have the port of the administration.
    config.write_text("{\n\tadmin off\n}\n" + (deploy / "Caddyfile").read_text())
    process = subprocess.Popen(
        [program, "run", "--config", config, "--adapter", "caddyfile"], env=variables, stderr=subprocess.DEVNULL)
    proxy = Proxy(port)

    def answers():
        try:
            return proxy.send("GET", "/healthz").status == 200
        except OSError:
            return False

    eventually(answers, 20, "Caddy")
    yield proxy
    process.terminate()
    process.wait(10)


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request):
    return request.getfixturevalue(request.param)


def test_plain_http_is_redirected(nginx):
    answer = Proxy(nginx.plain).send("GET", "/v1/models?x=1")
    assert answer.status == 301
    assert answer.headers["Location"] == "https://127.0.0.1/v1/models?x=1"


def test_metrics_are_not_for_the_world(proxy, service):
    """However the path is spelled that the service understands as the same; and the proxy, not the service, says so."""
    spellings = ["/metrics", "/metrics/", "//metrics", "//metrics//", "/metric%73", "/%6Detrics/", "/metrics?x=1"]
    for path in spellings:
        assert service.get(path).status == 200, path
    for path in [*spellings, "/metrics%2F", "/./metrics", "/v1/../metrics", "/v1//..//metrics/"]:
        answer = proxy.send("GET", path)
        assert answer.status == 404, path
        assert b"zooport_" not in answer.body and "application/problem+json" not in answer.headers.get("Content-Type", ""), path
    assert proxy.send("GET", "/healthz").status == 200


def test_upload_streams_to_the_service(proxy, service):
    """The service has the first half before the client has sent the second."""
    half = os.urandom(16 * MIB)
    connection = proxy.connect()
    connection.putrequest("PUT", "/v1/uploads/big.bin")
    connection.putheader("Content-Length", str(2 * len(half)))
    connection.endheaders()
    connection.send(half)
    received = lambda: sum(file.stat().st_size for file in (service.folder / "incoming").glob("*/*"))
    eventually(lambda: received() > len(half) - 2 * MIB, 20, "the first half at the service")
    connection.send(half)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    assert answer.status == 201
    assert document["sha256"] == hashlib.sha256(half + half).hexdigest()
    assert proxy.send("DELETE", document["url"]).status == 204


@pytest.fixture(scope="module")
def guarded(deploy, tmp_path_factory):
    """nginx in front of a service that takes 1 MiB, and one whose disk has no room; the first has a token."""
    folder = tmp_path_factory.mktemp("guarded")
    with contextlib.ExitStack() as stack:
        (folder / "small").mkdir()
        token = subprocess.run(
            [BINARY, "token", "create", "ci", "--data-dir", folder / "small"], capture_output=True, text=True, check=True,
            env=environment()).stdout.strip()
        small = stack.enter_context(Service(folder / "small", disk_floor=0, max_upload="1MiB"))
        full = stack.enter_context(Service(folder / "full", disk_floor="100000GiB"))
        yield [stack.enter_context(site(deploy, folder / service.folder.name, service)) for service in (small, full)], token


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"], ids=["waiting", "sending at once"])
@pytest.mark.parametrize("status, code", [(401, "unauthorized"), (413, "too_large"), (507, "disk_full")])
def test_an_upload_that_is_refused_early(guarded, tmp_path, status, code, expect):
    """The client gets the answer of the service, whole, while most of its body is unsent. nginx itself answers
    `100 Continue`, so a client that waits begins to send and is stopped."""
    (small, full), token = guarded
    proxy = full if status == 507 else small
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate(256 * MIB)
    headers = {401: "Authorization: Bearer zpt_wrong", 413: f"Authorization: Bearer {token}", 507: "X-None: x"}
    start = time.monotonic()
    result = subprocess.run(
        ["curl", "-sS", "-T", large, "-H", headers[status], "-H", expect, "--cacert", proxy.certificate, "-o",
         tmp_path / "answer", "-w", "%{http_code} %{content_type} %{size_upload}",
         f"{proxy.base}/v1/uploads/large"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "NO_PROXY": "127.0.0.1"})
    seen, kind, sent = result.stdout.split()
    assert (int(seen), kind) == (status, "application/problem+json"), result
    assert json.loads((tmp_path / "answer").read_text())["code"] == code
    assert int(sent) < 64 * MIB, "all of the body was sent to be refused"
    assert time.monotonic() - start < 10


def test_resumable_upload(proxy, service):
    """tus: a part, a look at how far it is, the rest. The address that is handed out leads through the proxy."""
    content = os.urandom(5 * MIB)
    tus = {"Tus-Resumable": "1.0.0"}
    made = proxy.send("POST", "/v1/uploads", b"", {
        **tus, "Upload-Length": str(len(content)), "Upload-Metadata": "filename " + base64.b64encode(b"x.bin").decode()})
    assert made.status == 201, made.body
    location = made.headers["Location"]
    if location.startswith("http"):
        assert location.startswith(proxy.base + "/"), location
        location = location.removeprefix(proxy.base)
    patch = {**tus, "Content-Type": "application/offset+octet-stream"}
    half = 2 * MIB
    answer = proxy.send("PATCH", location, content[:half], {**patch, "Upload-Offset": "0"})
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(half))
    assert proxy.send("HEAD", location, headers=tus).headers["Upload-Offset"] == str(half)
    assert proxy.send("PATCH", location, content[half:], {**patch, "Upload-Offset": str(half)}).status == 204
    assert proxy.send("GET", location).json["sha256"] == hashlib.sha256(content).hexdigest()
    assert proxy.send("DELETE", location, headers=tus).status == 204


@pytest.fixture(scope="module")
def output(service, tmp_path_factory):
    """A large output of a job: its document and its bytes."""
    model = checkpoints.make(tmp_path_factory.mktemp("middle"), checkpoints.MIDDLE)
    ids = [{"upload": service.upload(file)} for file in (model.config, model.weights)]
    job = service.wait(service.submit(checkpoints.job(*ids))["id"])
    document = max(job["outputs"], key=lambda output: output["size"])
    return document, service.get(document["url"]).body


def test_download_with_ranges(proxy, output):
    document, content = output
    whole = proxy.send("GET", document["url"])
    assert whole.status == 200 and whole.body == content
    assert int(whole.headers["Content-Length"]) == document["size"]
    assert whole.headers["Repr-Digest"] and whole.headers["Content-Disposition"]
    tag = whole.headers["ETag"]
    start = 50_000_000
    part = proxy.send("GET", document["url"], headers={"Range": f"bytes={start}-", "If-Range": tag})
    assert (part.status, part.body) == (206, content[start:])
    assert part.headers["Content-Range"] == f"bytes {start}-{len(content) - 1}/{len(content)}"
    assert proxy.send("GET", document["url"], headers={"If-None-Match": tag}).status == 304
    assert proxy.send("GET", document["url"], headers={"Range": "bytes=999999999999-"}).status == 416
    assert proxy.send("HEAD", document["url"]).headers["Content-Length"] == str(len(content))


def test_nginx_keeps_nothing_on_its_disk(nginx, output):
    document, content = output
    assert nginx.send("GET", document["url"]).body == content
    files = [file for name in ("proxy", "body") for file in (nginx.temporary / name).rglob("*") if file.is_file()]
    assert files == []


def test_events_come_while_the_job_runs(proxy, service, tiny):
    with Origin(tiny.weights.parent, rate=10_000) as origin:  # two seconds for the checkpoint
        job = proxy.send("POST", "/v1/jobs", checkpoints.job(
            {"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")})).json
        connection = proxy.connect()
        connection.request("GET", job["url"] + "/events")
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        start, events = time.monotonic(), []
        while line := answer.readline():
            if line.startswith(b"data: "):
                events.append((time.monotonic() - start, json.loads(line[6:])["status"]))
    assert events[0][1] in ("queued", "running") and events[-1][1] == "succeeded"
    assert events[-1][0] - events[0][0] > 0.5, f"the events came together: {events}"


def test_long_poll(proxy, tiny):
    with Origin(tiny.weights.parent, rate=10_000) as origin:
        job = proxy.send("POST", "/v1/jobs", checkpoints.job(
            {"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")})).json
        answer = proxy.send("GET", job["url"], headers={"Prefer": "wait=30"}, timeout=60)
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.json["status"] == "succeeded"


def test_errors_of_the_service_pass(proxy):
    answer = proxy.send("GET", "/v1/jobs/none")
    assert answer.status == 404 and answer.headers["Content-Type"] == "application/problem+json"
    answer = proxy.send("POST", "/v1/jobs", {"model": "zork"})
    assert answer.status == 422 and answer.json["diagnostics"]


def test_many_clients_at_once(proxy):
    statuses = []

    def run():
        for _ in range(20):
            statuses.append(proxy.send("GET", "/v1/models").status)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 320


def test_smoke_test_passes_through(proxy, deploy):
    variables = environment(CURL_CA_BUNDLE=proxy.certificate or "")
    process = subprocess.run(
        [deploy / "smoke.sh", proxy.base], capture_output=True, text=True, timeout=120, env=variables)
    assert process.returncode == 0, process.stdout + process.stderr
