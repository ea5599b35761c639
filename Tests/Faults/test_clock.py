"""The wall clock jumps by hours, forwards and backwards, while jobs run, wait and are retried (libfaketime)."""

import subprocess
import time

import checkpoints
import pytest
from clock import Clock
from conftest import digest_all
from origin import Origin
from service import BINARY, Service, environment

HOURS = 3600


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


def serve(clock, tmp_path, **flags):
    return Service(
        tmp_path / "data", env=clock.env, launcher=["env"], workers=1, allow_private_fetch="127.0.0.1",
        **flags)


def messages(service, job):
    return [line["message"] for line in service.lines() if line.get("job") == job["id"]]


@pytest.mark.parametrize("hours", [3, -3])
def test_jump_while_jobs_run_and_wait(clock, tmp_path, models, undisturbed, hours):
    """The running job keeps its lease, the one behind it comes next, and one that is new is run as well."""
    with Origin(models["middle"].weights.parent, rate=15 << 20) as origin, serve(
            clock, tmp_path, keep_inputs=1, lease=3) as service:
        config, weights = service.upload(models["tiny"].config), service.upload(models["tiny"].weights)
        tiny = checkpoints.job({"upload": config}, {"upload": weights})
        running = service.submit(
            checkpoints.job({"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")}))
        service.wait(running["id"], "running", phase="fetching")
        waiting = service.submit(tiny)
        clock.set(hours * HOURS)
        # Retention must not take what the waiting job needs, though it seems to be hours old.
        gc = subprocess.run(
            ["env", BINARY, "gc", "--keep-inputs=1", f"--data-dir={service.folder}"], env=environment(**clock.env),
            capture_output=True, text=True, timeout=30)
        assert gc.returncode == 0, gc.stderr
        time.sleep(2)  # more than a round of the lease keeper
        new = service.submit(tiny)
        ended = service.wait(running["id"], limit=60)
        assert (ended["status"], ended["attempt"]) == ("succeeded", 1), ended["error"]
        assert digest_all(service.outputs(ended)) == undisturbed["middle", False]
        for job in (waiting, new):
            ended = service.wait(job["id"], limit=20)
            assert (ended["status"], ended["attempt"]) == ("succeeded", 1), ended["error"]
        for job in (running, waiting, new):
            assert "job abandoned" not in messages(service, job)
        assert service.get("/readyz").status == 200
        assert service.stop() == 0


def test_jump_back_does_not_keep_a_retry_for_hours(clock, tmp_path, models):
    """A job that shall be tried again in a second is not kept until the clock has caught up."""
    with serve(clock, tmp_path, retry_delay=1, fetch_attempts=1, retries=20) as service:
        with Origin(models["tiny"].weights.parent) as origin:
            urls = [{"url": origin.url(name)} for name in ("config.json", "pytorch_model.bin")]
        job = service.submit(checkpoints.job(*urls))  # nobody listens there any more
        service.wait(job["id"], "queued", limit=20)
        time.sleep(0.2)
        before = service.job(job["id"])["attempt"]
        clock.set(-3 * HOURS)
        deadline = time.monotonic() + 30
        while service.job(job["id"])["attempt"] <= before + 1:
            assert time.monotonic() < deadline, service.job(job["id"])
            time.sleep(0.2)


def test_restart_after_a_jump_back(clock, tmp_path, models):
    """What ran when the process was killed carries a lease from the future."""
    with Origin(models["tiny"].weights.parent, rate=100) as slow, serve(clock, tmp_path) as service:
        job = service.submit(
            checkpoints.job({"url": slow.url("config.json")}, {"url": slow.url("pytorch_model.bin")}))
        service.wait(job["id"], "running", phase="fetching")
        service.kill()
        clock.set(-3 * HOURS)
        slow.rate = None
        service.start()
        ended = service.wait(job["id"], limit=30)
        assert (ended["status"], ended["attempt"]) == ("succeeded", 2), ended["error"]
