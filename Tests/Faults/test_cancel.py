"""A job is cancelled within a second, whatever it is doing, and leaves nothing behind."""

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
            allow_private_fetch="127.0.0.1", memory_budget="4GiB") as service:
        yield service
        assert service.process.poll() is None, "the service died"


@pytest.mark.parametrize("method, path", [("DELETE", ""), ("POST", "/cancel")])
@pytest.mark.parametrize("phase", ["queued", "fetching", "planning", "converting", "verifying", "digesting", "publishing"])
def test_phase(service, models, phase, method, path):
    model = models["deep" if phase == "planning" else "middle"]
    config = {"upload": service.upload(model.config)}
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
        eventually(lambda: not list(service.folder.glob(f"work/{job['id']}.*")), limit=LIMIT, what="the end of the attempt")
        assert time.monotonic() - start < LIMIT
        assert not (service.folder / "outputs" / job["id"]).exists()
        ended = service.job(job["id"])
        assert (ended["status"], ended["outputs"]) == ("cancelled", [])
        if blocker:
            service.send("DELETE", f"/v1/jobs/{blocker['id']}")
    eventually(lambda: not list(service.folder.glob("work/*")), what="the end of all attempts")


@pytest.mark.parametrize("target, container", [("cs-1.8", "torch"), ("cs-1.8", "hdf5")])
def test_very_many_tensors(service, tmp_path, target, container):
    """Reading the names, matching them, laying the output out: each takes seconds here, and each can be interrupted."""
    model = checkpoints.make_names(tmp_path, 400_000)
    body = checkpoints.job(
        {"upload": service.upload(model.config)}, {"upload": service.upload(model.weights)}, output_format=container)
    body["tgt_fmt"] = target
    # Undisturbed runs say how long this takes here and now: the quicker of two, because one may have had a busy machine.
    # What has been built must be freed, which takes its share of the time that building took: on a slow machine more than a
    # second.
    whole = min(planning_time(service, body) for _ in range(2))
    assert whole > 2 * LIMIT, f"planning takes {whole} s, which is too quick to test"
    limit = max(LIMIT, whole / 3)
    longest, planning = 0, 0
    for part in (0.02, 0.2, 0.4, 0.55, 0.7, 0.85):
        job = service.submit(body)
        assert reach(service, job["id"], "planning")
        moment = part * whole
        time.sleep(moment)
        planning += service.job(job["id"])["progress"]["phase"] == "planning"
        # A job that was quicker this time is past planning, or has ended.
        asked = time.monotonic()
        answer = service.send("POST", f"/v1/jobs/{job['id']}/cancel")
        # The client has its job cancelled at once, whatever the worker still has to put away.
        assert time.monotonic() - asked < LIMIT
        assert answer.status == 200 or part > 0.5 and service.job(job["id"])["status"] == "succeeded", answer.body
        if answer.status != 200:
            continue
        start = time.monotonic()
        eventually(
            lambda: not list(service.folder.glob(f"work/{job['id']}.*")), limit=limit,
            what=f"the end of an attempt {moment:.1f} s after planning began")
        longest = max(longest, time.monotonic() - start)
        assert not (service.folder / "outputs" / job["id"]).exists()
    assert planning >= 4, f"only {planning} of 6 moments were within planning"
    print(f"planning took {whole:.1f} s, cancelling at most {longest:.2f} s of {limit:.1f}")


def test_shutdown_while_planning(models, tmp_path):
    """The service does not wait for a plan: the job is queued again and the process ends."""
    model = checkpoints.make_names(tmp_path, 400_000)
    with Service(
            tmp_path / "data", workers=1, small_job=0, disk_floor=0, memory_budget="4GiB") as service:
        job = service.submit(checkpoints.job(
            {"upload": service.upload(model.config)}, {"upload": service.upload(model.weights)}))
        assert reach(service, job["id"], "planning")
        start = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - start < 2 * LIMIT
        service.start()
        # It may run again by now, for the first time as far as anybody counts.
        found = service.job(job["id"])
        assert found["attempt"] == (found["status"] == "running"), "the interrupted attempt was counted"


def planning_time(service, body):
    """Seconds from the beginning of planning to the first tensor, of a job that nobody disturbs."""
    phases = service.wait(service.submit(body)["id"], "succeeded", limit=300)["progress"]["phases"]
    return (timestamp(phases["converting"]) - timestamp(phases["planning"])).total_seconds()


def timestamp(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


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
    order = ["fetching", "planning", "converting", "verifying", "digesting", "publishing"]
    assert sorted(phases) == sorted(order)
    times = [ended["created_at"], ended["started_at"], *(phases[phase] for phase in order), ended["finished_at"]]
    assert times == sorted(times)
