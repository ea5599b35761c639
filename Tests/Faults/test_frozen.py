"""A worker that is frozen past its lease (SIGSTOP), and finds when it wakes that others went on without it."""

import contextlib
import sqlite3
import time

import checkpoints
import pytest
from conftest import digest_all
from origin import Origin
from service import Service, eventually

#: What a second service would do to a job whose lease is over.
TAKE_OVER = """
    UPDATE jobs SET status = 'queued', started_at = NULL, fence = fence + 1, worker = NULL, lease_until = NULL
    WHERE id = ? AND status = 'running'
"""
#: What a client of a second service would do.
CANCEL = """
    UPDATE jobs SET status = 'cancelled', finished_at = ?, fence = fence + 1, worker = NULL, lease_until = NULL
    WHERE id = ? AND status = 'running'
"""


@pytest.fixture
def running(tmp_path, models):
    """A service with a lease of 3 s, and a job that is fetching its checkpoint."""
    with Origin(models["middle"].weights.parent, rate=60 << 20) as origin, Service(
            tmp_path / "data", lease=3, allow_private_fetch="127.0.0.1") as service:
        job = service.submit(
            checkpoints.job({"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")}))
        service.wait(job["id"], "running", phase="fetching")
        yield service, job["id"]


def freeze(service):
    """Freezes the service at a moment when it is in no transaction: in one, nobody else could write until it thaws."""
    deadline = time.monotonic() + 20
    while True:
        service.freeze()
        try:
            with contextlib.closing(sqlite3.connect(
                    service.folder / "zooport.sqlite", timeout=0.2, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            return
        except sqlite3.OperationalError as error:
            assert "locked" in str(error) and time.monotonic() < deadline, error
            service.thaw()
            time.sleep(0.01)


def change(service, sql, arguments):
    with contextlib.closing(sqlite3.connect(service.folder / "zooport.sqlite")) as database, database:
        assert database.execute(sql, arguments).rowcount == 1


def count(service, message):
    return sum(line["message"] == message for line in service.lines())


def assert_one_result(service, job, expected):
    ended = service.wait(job, limit=60)
    assert ended["status"] == "succeeded", ended["error"]
    assert digest_all(service.outputs(ended)) == expected
    assert count(service, "job succeeded") == 1
    assert [folder.name for folder in (service.folder / "outputs").iterdir()] == [job]
    eventually(lambda: not list((service.folder / "work").iterdir()), 5, "an empty work folder")
    return ended


def test_thawed_before_anybody_noticed(running, undisturbed):
    service, job = running
    freeze(service)
    time.sleep(5)
    service.thaw()
    assert_one_result(service, job, undisturbed["middle", False])


def test_stale_worker_cannot_publish(running, undisturbed):
    """The job went to another attempt meanwhile: that one's result counts, the old one stops."""
    service, job = running
    freeze(service)
    time.sleep(3.5)
    change(service, TAKE_OVER, (job,))
    service.thaw()
    assert assert_one_result(service, job, undisturbed["middle", False])["attempt"] == 2
    assert count(service, "job stopped") + count(service, "job taken away") == 1


def test_stale_worker_cannot_revive_a_cancelled_job(running):
    service, job = running
    freeze(service)
    time.sleep(3.5)
    change(service, CANCEL, (int(time.time() * 1000), job))
    service.thaw()
    eventually(lambda: count(service, "job stopped") + count(service, "job taken away") == 1, 30, "the end of the attempt")
    assert service.job(job)["status"] == "cancelled"
    assert not list((service.folder / "outputs").iterdir())
    eventually(lambda: not list((service.folder / "work").iterdir()), 5, "an empty work folder")
