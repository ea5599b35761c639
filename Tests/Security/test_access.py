"""Every endpoint without a token, with a wrong one, with a revoked one, and with another team's.

The endpoints are read from the table in the sources, so that a new one is tried without being listed here.
"""

import re
import subprocess
from pathlib import Path

import checkpoints
import pytest
from service import BINARY, Service, environment

ROUTES = Path(__file__).parents[2] / "Sources/Server/HTTPService/Routing/Routes.swift"
#: Method, path, scope.
TABLE = [
    (method.upper(), path, scope)
    for method, path, scope in re.findall(r'Route\(\s*\.(\w+),\s*"([^"]+)",\s*\.(\w+)', ROUTES.read_text())]
assert len(TABLE) == len(re.findall(r'\bRoute\(\s*\.\w+,\s*"', ROUTES.read_text())) > 20, "routes are written in another way now"
#: The service answers HEAD to every GET that has an end.
TABLE += [
    ("HEAD", path, scope) for method, path, scope in TABLE
    if method == "GET" and not path.endswith("/events") and ("HEAD", path) not in {row[:2] for row in TABLE}]
CLOSED = [(method, path) for method, path, scope in TABLE if scope != "open"]


def test_every_route_that_is_described_is_tried(world):
    """The table that was read from the sources is that of the running service."""
    described = {
        (method.upper(), path) for path, methods in world.service.get("/openapi.json").json["paths"].items()
        for method in methods}
    assert described == {(method, path) for method, path, _ in TABLE}


def ids(route):
    return " ".join(route)


class World:
    """A service with tokens, and what the one of team red has made."""

    def __init__(self, folder, tiny):
        self.service = Service(folder, disk_floor=0)
        self.folder = folder
        folder.mkdir()
        self.maker = self.token("create", "maker", "--scope", "submit,read", "--team", "red")
        self.other = self.token("create", "other", "--scope", "submit,read", "--team", "blue")
        self.reader = self.token("create", "reader", "--scope", "read", "--team", "red")
        self.scraper = self.token("create", "scraper", "--scope", "metrics")
        self.gone = self.token("create", "gone", "--scope", "submit,read,admin", "--team", "red")
        self.token("revoke", "gone")
        self.service.start()
        self.service.token = self.maker
        self.uploads = [self.service.upload(file) for file in (tiny.config, tiny.weights)]
        body = checkpoints.job(*({"upload": upload} for upload in self.uploads))
        self.body = body
        self.job = self.service.wait(self.service.submit(body)["id"])
        self.service.token = None

    def token(self, *arguments):
        process = subprocess.run(
            [BINARY, "token", *arguments, "--data-dir", self.folder], capture_output=True, text=True, timeout=60,
            env=environment())
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    def target(self, path):
        """A route with what team red has made in place of its parameters."""
        values = {"job": self.job["id"], "upload": self.uploads[0], "model": "gpt2",
                  "output": self.job["outputs"][0]["name"]}
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "x"), path)

    def state(self):
        """What must not change: jobs and uploads as their owner sees them."""
        jobs = self.service.get("/v1/jobs", token=self.maker).json["jobs"]
        uploads = [self.service.get(f"/v1/uploads/{upload}", token=self.maker).status for upload in self.uploads]
        files = sorted(path.name for path in (self.folder / "uploads").glob("*/*"))
        return jobs, uploads, files


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny):
    world = World(tmp_path_factory.mktemp("access") / "data", tiny)
    before = world.state()
    yield world
    after = world.state()
    world.service.kill()
    assert after == before, "somebody without the right has changed something"


@pytest.mark.parametrize("route", CLOSED, ids=ids)
@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer ", "Bearer zpt_wrong", "Bearer zpt_" + "a" * 52, "Basic YTpi", "{gone}", "Bearer {maker} {maker}",
    "Bearer {maker}x", "Token {maker}"],
    ids=["none", "empty", "bare", "blank", "wrong", "unknown", "basic", "revoked", "twice", "longer", "scheme"])
def test_without_a_valid_token(world, route, header):
    method, path = route
    headers = {}
    if header is not None:
        headers["Authorization"] = header.format(gone=f"Bearer {world.gone}", maker=world.maker)
    answer = world.service.send(method, world.target(path), b"x" if method in ("PUT", "POST", "PATCH") else None, headers)
    assert answer.status == 401, answer.body
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.maker.encode() not in answer.body and world.gone.encode() not in answer.body


@pytest.mark.parametrize("route", CLOSED, ids=ids)
def test_token_in_the_query_does_not_count(world, route):
    method, path = route
    answer = world.service.send(method, f"{world.target(path)}?access_token={world.maker}")
    assert answer.status == 401


#: Those that name something which exists; the segment of `PUT /v1/uploads/{upload}` is the name of a new upload.
NAMING = [route for route in CLOSED if re.search(r"\{(job|upload)\}", route[1]) and route != ("PUT", "/v1/uploads/{upload}")]


@pytest.mark.parametrize("route", NAMING, ids=ids)
def test_another_team(world, route):
    """What one may not see is not there."""
    method, path = route
    body, headers = None, {}
    if path == "/v1/uploads/{upload}" and method in ("PATCH", "POST"):
        # Without these a tus request is refused for its form, before anything is looked up.
        body = b"x"
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        if method == "POST":
            headers["X-HTTP-Method-Override"] = "PATCH"
    answer = world.service.send(method, world.target(path), body, headers, token=world.other)
    assert answer.status == 404, (answer.status, answer.body)


def test_another_team_sees_and_uses_nothing(world):
    assert world.service.get("/v1/jobs", token=world.other).json["jobs"] == []
    answer = world.service.send("POST", "/v1/jobs", world.body, token=world.other)
    assert answer.status == 422, "an upload of another team was taken as input"


@pytest.mark.parametrize("route", CLOSED, ids=ids)
def test_scopes(world, route):
    """A token for reading changes nothing; one for metrics reads nothing else, but who it is."""
    method, path = route
    scope = next(scope for m, p, scope in TABLE if (m, p) == route)
    answer = world.service.send(method, world.target(path), token=world.scraper)
    assert (answer.status == 403) == (scope not in ("metrics", "anyToken")), answer.status
    if scope == "submit":
        answer = world.service.send(method, world.target(path), token=world.reader)
        assert answer.status == 403 and "insufficient_scope" in answer.headers["WWW-Authenticate"]


def test_secrets_are_nowhere(world):
    for secret in (world.maker, world.other, world.gone):
        assert secret not in world.service.log.read_text()
        for file in world.folder.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_probes_stay_open(world):
    for path in ("/healthz", "/readyz"):
        assert world.service.get(path).status == 200
