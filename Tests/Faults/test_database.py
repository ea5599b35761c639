"""Somebody else holds the database: a backup tool, an administrator's shell."""

import contextlib
import sqlite3
import threading
import time

import checkpoints
import pytest
from conftest import digest_all
from origin import Origin
from service import Service, eventually


@contextlib.contextmanager
def held(service):
    """BEGIN EXCLUSIVE by another process's hand."""
    with contextlib.closing(sqlite3.connect(service.folder / "zooport.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA busy_timeout = 5000")
        database.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "data", lease=3, retry_delay=1, allow_private_fetch="127.0.0.1") as service:
        yield service


def test_held_for_seconds(service, models):
    """Writers wait; readers do not notice."""
    config, weights = service.upload(models["tiny"].config), service.upload(models["tiny"].weights)
    body = checkpoints.job({"upload": config}, {"upload": weights})
    first = service.wait(service.submit(body)["id"])
    submitted, slowest = [], 0
    with held(service):
        threads = [threading.Thread(target=lambda: submitted.append(service.submit(body))) for _ in range(8)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            start = time.monotonic()
            assert service.job(first["id"])["status"] == "succeeded"
            assert service.get("/healthz").status == 200
            slowest = max(slowest, time.monotonic() - start)
        assert submitted == []
    for thread in threads:
        thread.join()
    assert len(submitted) == 8
    for job in submitted:
        assert service.wait(job["id"])["status"] == "succeeded"
    assert len(service.jobs()) == 9
    assert slowest < 2, f"a reader waited {slowest:.1f} s"


def test_held_for_longer_than_writers_wait(service, models, undisturbed):
    """A job that ends meanwhile cannot say so. It is neither failed nor lost: it ends when the database is free."""
    with Origin(models["middle"].weights.parent, rate=40 << 20) as origin:
        body = checkpoints.job({"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")})
        job = service.submit(body)
        service.wait(job["id"], "running", phase="fetching")
        with held(service):
            start = time.monotonic()
            refused = service.send("POST", "/v1/jobs", body)
            assert (refused.status, refused.json["code"]) == (503, "unavailable")
            assert int(refused.headers["Retry-After"]) > 0
            assert time.monotonic() - start < 20
            assert service.get("/readyz").status == 503
            assert service.get("/healthz").status == 200
            time.sleep(max(0, 24 - (time.monotonic() - start)))
        ended = service.wait(job["id"], limit=90)
        assert ended["status"] == "succeeded", ended["error"]
        assert digest_all(service.outputs(ended)) == undisturbed["middle", False]
        eventually(lambda: service.get("/readyz").status == 200, 20, "readiness")
        assert [found["id"] for found in service.jobs()] == [job["id"]]
        assert sum(line["message"] == "job succeeded" for line in service.lines()) == 1
