"""A job is cancelled within a second, whatever it is doing, and leaves nothing behind.

The one exception is planning, which is not interrupted: the second begins when the plan is made.
"""

import time
from datetime import datetime

import checkpoints
import pytest
from origin import Origin
from service import Service, eventually

#: Seconds from the answer to the end of the attempt.
LIMIT = 1.0


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(
            tmp_path_factory.mktemp("cancel") / "data", workers=1, small_job=0, disk_floor=0, fetch_stall=60,
            allow_private_fetch="127.0.0.1") as service:
        yield service
        assert service.process.poll() is None, "the service died"


@pytest.mark.parametrize("method, path", [("DELETE", ""), ("POST", "/cancel")])
@pytest.mark.parametrize("phase", ["queued", "fetching", "planning", "converting", "verifying", "publishing"])
def test_phase(service, models, phase, method, path):
    model = models["deep" if phase == "planning" else "middle"]
    config = {"upload": service.upload(model.config)}
    limit = LIMIT + (planning_seconds(service, model, config) if phase == "planning" else 0)
    # The download of the first phase stands still after a few bytes.
    with Origin(model.weights.parent, rate=50) as origin:
        stalled = {"url": origin.url(model.weights.name)}
        weights = stalled if phase == "fetching" else {"upload": service.upload(model.weights)}
        blocker = None
        if phase == "queued":
            blocker = service.submit({**checkpoints.job(config, stalled), "reuse": False})
            service.wait(blocker["id"], "running")
        for _ in range(8):
            job = service.submit({**checkpoints.job(config, weights, verify=True), "reuse": False})
            found = reach(service, job["id"], phase)
            answer = service.send(method, f"/v1/jobs/{job['id']}{path}")
            # Short phases may be over by now; then once more.
            if found and answer.status == 200:
                break
        assert (answer.status, answer.json["status"]) == (200, "cancelled"), phase
        start = time.monotonic()
        eventually(lambda: not list(service.folder.glob(f"work/{job['id']}.*")), limit=limit, what="the end of the attempt")
        assert time.monotonic() - start < limit
        assert not (service.folder / "outputs" / job["id"]).exists()
        ended = service.job(job["id"])
        assert (ended["status"], ended["outputs"]) == ("cancelled", [])
        if blocker:
            service.send("DELETE", f"/v1/jobs/{blocker['id']}")
    eventually(lambda: not list(service.folder.glob("work/*")), what="the end of all attempts")


def planning_seconds(service, model, config):
    """How long the plan of a model takes."""
    job = service.submit({**checkpoints.job(config, {"upload": service.upload(model.weights)}), "reuse": False})
    phases = service.wait(job["id"], "succeeded")["progress"]["phases"]
    planning, converting = (datetime.fromisoformat(phases[phase]) for phase in ("planning", "converting"))
    return (converting - planning).total_seconds()


def reach(service, identifier, phase):
    """Waits until the job is in the phase; false when it ended before that was seen."""
    while True:
        job = service.job(identifier)
        if phase in (job["status"], job["progress"]["phase"]):
            return True
        if job["status"] in ("succeeded", "failed"):
            assert job["status"] == "succeeded", job["error"]
            return False
        time.sleep(0.002)


def test_phases_have_times(service, models):
    model = models["middle"]
    with Origin(model.weights.parent) as origin:
        job = service.submit(checkpoints.job(
            {"upload": service.upload(model.config)}, {"url": origin.url(model.weights.name)}, verify=True))
        ended = service.wait(job["id"], "succeeded")
    phases = ended["progress"]["phases"]
    order = ["fetching", "planning", "converting", "verifying", "publishing"]
    assert sorted(phases) == sorted(order)
    times = [ended["created_at"], ended["started_at"], *(phases[phase] for phase in order), ended["finished_at"]]
    assert times == sorted(times)
