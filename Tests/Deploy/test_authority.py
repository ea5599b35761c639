"""Downloads over HTTP/2 from an nginx whose certificate comes from an authority of its own, as a team's mirror has it."""

import re
import subprocess

import checkpoints
import pytest
from nginx import Nginx, free_port
from service import BINARY, Service, environment

SITE = """
  log_format protocol '$server_protocol $request_method $status $request_uri';
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    root {root};
    access_log {folder}/access.log protocol;
  }}
"""


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certify(folder):
    """An authority, `ca.pem`, and a certificate for 127.0.0.1 that it signed, `server.pem`."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=Team authority", "-addext",
            "keyUsage=critical,keyCertSign", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mirror", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", folder / "server.key", "-out", folder / "server.csr")
    openssl("x509", "-req", "-days", 2, "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-copy_extensions", "copy", "-out", folder / "server.pem")


class Mirror:
    """GPT-2 in two shards, behind nginx."""

    def __init__(self, folder):
        import torch

        self.folder = folder
        certify(folder)
        port = free_port()
        self.nginx = Nginx(
            folder / "nginx", SITE.format(port=port, folder=folder, root=folder / "nginx/root"), port=port)
        model = checkpoints.make(folder, checkpoints.TINY)
        (self.nginx.root / "config.json").write_bytes(model.config.read_bytes())
        state = list(torch.load(model.weights).items())
        half = len(state) // 2
        self.shards = []
        for number, part in enumerate((state[:half], state[half:]), 1):
            self.shards.append(f"pytorch_model-0000{number}-of-00002.bin")
            torch.save(dict(part), self.nginx.root / self.shards[-1])

    def url(self, name):
        return f"https://127.0.0.1:{self.nginx.port}/{name}"

    def job(self):
        return checkpoints.job({"url": self.url("config.json")}, [{"url": self.url(shard)} for shard in self.shards])

    def requests(self):
        """Protocol, method, status and path of each request so far."""
        log = self.folder / "access.log"
        return [tuple(line.split()) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    mirror = Mirror(tmp_path_factory.mktemp("mirror"))
    with mirror.nginx:
        yield mirror


def test_downloads_use_http2(mirror, tmp_path):
    with Service(tmp_path / "data", disk_floor=0, allow_private_fetch="127.0.0.1",
                 fetch_ca_file=mirror.folder / "ca.pem") as service:
        streamed = mirror.job()
        streamed["options"]["stream"] = True
        assert service.wait(service.submit(streamed)["id"])["status"] == "succeeded"
        ended = service.wait(service.submit(mirror.job())["id"])
        assert ended["status"] == "succeeded", ended["error"]
        assert {output["name"] for output in ended["outputs"]} >= {"pytorch_model_to_cs-1.8.mdl", "config_to_cs-1.8.yaml"}
    requests = mirror.requests()
    assert {protocol for protocol, *_ in requests} == {"HTTP/2.0"}
    fetched = {(method, status, path) for _, method, status, path in requests}
    for name in mirror.shards:
        assert ("GET", "200", f"/{name}") in fetched, "the whole file"
        assert ("GET", "206", f"/{name}") in fetched, "ranges of it"


def test_an_authority_that_is_not_known(mirror, tmp_path):
    """The job fails at once, and says what is wrong and who can help."""
    before = len(mirror.requests())
    with Service(tmp_path / "data", disk_floor=0, allow_private_fetch="127.0.0.1") as service:
        ended = service.wait(service.submit(mirror.job())["id"], limit=20)
    assert (ended["status"], ended["error"]["code"], ended["attempt"]) == ("failed", "fetch_failed", 1)
    assert re.search("certificate is not trusted.*fetch-ca-file", ended["error"]["detail"]), ended["error"]
    assert len(mirror.requests()) == before


def test_a_certificate_for_another_name(mirror, tmp_path):
    """Naming an authority does not make it an authority for every name."""
    with Service(tmp_path / "data", disk_floor=0, allow_private_fetch="127.0.0.1,localhost",
                 fetch_ca_file=mirror.folder / "ca.pem") as service:
        job = mirror.job()
        job["config"]["url"] = job["config"]["url"].replace("127.0.0.1", "localhost")
        ended = service.wait(service.submit(job)["id"], limit=20)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "fetch_failed")
    assert "certificate is not trusted" in ended["error"]["detail"]


def test_the_command_line_has_the_same_setting(mirror, tmp_path):
    command = [
        BINARY, "convert", *map(mirror.url, mirror.shards), "--config", mirror.url("config.json"), "--model", "gpt2",
        "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", tmp_path / "out"]
    variables = environment(ZOOPORT_ALLOW_PRIVATE_FETCH="127.0.0.1", XDG_CACHE_HOME=tmp_path, HF_ENDPOINT="")
    refused = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and "ZOOPORT_FETCH_CA_FILE" in refused.stderr, refused.stderr
    variables["ZOOPORT_FETCH_CA_FILE"] = str(mirror.folder / "ca.pem")
    subprocess.run(command, env=variables, capture_output=True, check=True)
    assert (tmp_path / "out/pytorch_model_to_cs-1.8.mdl").exists()
