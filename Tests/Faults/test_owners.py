"""kill -9 over jobs of several owners with inputs from a hub: who owns a job, what it is pinned to and what it needs survive."""

import subprocess
import time

import checkpoints
import pytest
from conftest import digest_all
from service import BINARY, Service, environment, eventually

REPOSITORY = "acme/middle"


@pytest.fixture
def hub(models):
    """The address of a hub with one repository."""
    program = BINARY.parent / "hub-server"
    folder = models["middle"].weights.parent
    process = subprocess.Popen(
        [program, f"{REPOSITORY}={folder}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(10)


def make_token(folder, name, scopes="submit,read"):
    return subprocess.run(
        [BINARY, "token", "create", name, "--scope", scopes, f"--data-dir={folder}"], env=environment(), check=True,
        capture_output=True, text=True).stdout.strip()


def test_owners_and_commits_survive(tmp_path, hub, undisturbed):
    folder = tmp_path / "data"
    ann, ben = make_token(folder, "ann"), make_token(folder, "ben")
    with Service(
            folder, workers=2, small_job=0, allow_private_fetch="127.0.0.1", hub_endpoint=hub,
            token_storage_limit=1 << 30) as service:
        body = checkpoints.job({"hub": REPOSITORY}, {"hub": REPOSITORY}, verify=True)
        jobs = {}
        for token in (ann, ben, ann):
            answer = service.send("POST", "/v1/jobs", body, token=token)
            assert answer.status == 202, answer.body
            jobs[answer.json["id"]] = token

        def job(identifier, token=None):
            return service.get(f"/v1/jobs/{identifier}", token=token or jobs[identifier])

        commits = {}
        for phase in ("fetching", "converting", "verifying"):
            def reached():
                found = [job(identifier).json for identifier in jobs]
                for known in found:
                    commit = known["inputs"]["checkpoint"][0].get("commit")
                    if commit:
                        assert commits.setdefault(known["id"], commit) == commit, "pinned to something else"
                return any(known["progress"]["phase"] == phase for known in found) or all(
                    known["status"] == "succeeded" for known in found)
            eventually(reached, 60, phase)
            time.sleep(0.02)
            service.kill()
            service.start()
        for identifier, token in jobs.items():
            eventually(lambda: job(identifier).json["status"] in ("succeeded", "failed"), 120, "the end of a job")
            ended = job(identifier).json
            assert ended["status"] == "succeeded", ended["error"]
            assert ended["owner"] == ("ann" if token == ann else "ben")
            assert ended["inputs"]["checkpoint"][0].get("commit") == commits.get(
                identifier, ended["inputs"]["checkpoint"][0].get("commit"))
            service.token = token
            assert digest_all(service.outputs(ended)) == undisturbed["middle", True]
            service.token = None
            # Nobody else has come to see it.
            assert job(identifier, ben if token == ann else ann).status == 404
            assert job(identifier, "zpt_wrong").status == 401


def test_a_limit_holds_for_repositories(tmp_path, hub):
    """How much a repository makes is known when the job runs; then it fails, once, and leaves nothing."""
    folder = tmp_path / "data"
    ann = make_token(folder, "ann")
    with Service(
            folder, allow_private_fetch="127.0.0.1", hub_endpoint=hub, token_storage_limit=20 << 20) as service:
        service.token = ann
        job = service.submit(checkpoints.job({"hub": REPOSITORY}, {"hub": REPOSITORY}))
        ended = service.wait(job["id"], limit=120)
        assert (ended["status"], ended["error"]["code"], ended["attempt"]) == ("failed", "limit_reached", 1)
        assert ended["error"]["limit"] == {"name": "token-storage-limit", "value": 20 << 20}
        assert not (folder / "outputs" / job["id"]).exists()
        eventually(lambda: not list((folder / "work").iterdir()), 5, "an empty work folder")
