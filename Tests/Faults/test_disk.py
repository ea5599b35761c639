"""A disk that fills up: during an upload, a download, a conversion, and under the database.

The disk is a small tmpfs; a `ballast` file takes the room away and gives it back.
"""

import os
import subprocess

import checkpoints
import pytest
from conftest import digest_all
from needs import missing
from origin import Origin
from service import Service, eventually

MIB = 1 << 20


class SmallDisk:
    """A mounted tmpfs of `size` bytes."""

    def __init__(self, folder, size):
        self.folder, self.ballast, self.data = folder, folder / "ballast", folder / "data"
        self.log = folder.with_suffix(".log")
        folder.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
        if mount.returncode:
            missing("mounting a tmpfs needs root, or the user namespace that scripts/faults.sh makes")

    def free(self):
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def fill(self, leaving):
        """Adds to a file until `leaving` bytes are left."""
        left = self.free() - leaving
        with open(self.ballast, "ab", buffering=0) as file:
            try:
                while left > 0:
                    left -= file.write(bytes(min(left, MIB)))
            except OSError:
                pass  # the disk is as full as it gets

    def unmount(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


@pytest.fixture
def disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk", 200 * MIB)
    yield disk
    disk.unmount()


def assert_tidy(service):
    """Nothing half done is left."""
    eventually(lambda: not list((service.folder / "incoming").iterdir()), 5, "an empty incoming folder")
    eventually(lambda: not list((service.folder / "work").iterdir()), 5, "an empty work folder")


def chunks(size):
    for _ in range(size // MIB):
        yield bytes(MIB)


def test_upload_to_a_full_disk(disk, models):
    with Service(disk.data, log=disk.log, disk_floor=0) as service:
        # Announced: refused before a byte is taken.
        disk.fill(leaving=30 * MIB)
        answer = service.send("PUT", "/v1/uploads/big.bin", iter(chunks(40 * MIB)), {"Content-Length": str(40 * MIB)})
        assert (answer.status, answer.json["code"]) == (507, "disk_full")
        assert int(answer.headers["Retry-After"]) > 0
        # Not announced: taken until the disk is full.
        answer = service.send("PUT", "/v1/uploads/big.bin", iter(chunks(40 * MIB)), {"Transfer-Encoding": "chunked"})
        assert (answer.status, answer.json["code"]) == (507, "disk_full")
        assert_tidy(service)
        # The blocks go with the last descriptor, a moment after the name.
        eventually(lambda: disk.free() > 20 * MIB, 10, "the room that the upload took")
        assert service.get("/readyz").status == 200
        service.upload(models["tiny"].weights)


def test_disk_floor_refuses_before_the_disk_is_full(disk, models):
    with Service(disk.data, log=disk.log, disk_floor=100 * MIB) as service:
        config, weights = service.upload(models["tiny"].config), service.upload(models["tiny"].weights)
        disk.fill(leaving=90 * MIB)
        assert service.send("PUT", "/v1/uploads/a.bin", b"1").status == 507
        answer = service.send("POST", "/v1/jobs", checkpoints.job({"upload": config}, {"upload": weights}))
        assert (answer.status, answer.json["code"]) == (507, "disk_full")
        ready = service.get("/readyz")
        assert ready.status == 503 and service.get("/healthz").status == 200
        assert [check["name"] for check in ready.json["checks"] if not check["ok"]] == ["disk"]
        disk.ballast.unlink()
        eventually(lambda: service.get("/readyz").status == 200, 5)


@pytest.mark.parametrize("form", [False, True], ids=["put", "form"])
def test_an_upload_of_unknown_size_stops_at_the_floor(disk, form):
    """Nobody said how much would come: the disk is asked while it comes."""
    floor = 100 * MIB
    with Service(disk.data, log=disk.log, disk_floor=floor) as service:
        least = disk.free()

        def watched(size):
            nonlocal least
            if form:
                yield b'--b\r\nContent-Disposition: form-data; name=checkpoint; filename=big.bin\r\n\r\n'
            for chunk in chunks(size):
                yield chunk
                least = min(least, disk.free())

        headers = {"Transfer-Encoding": "chunked"}
        if form:
            headers["Content-Type"] = "multipart/form-data; boundary=b"
        answer = service.send(
            "POST" if form else "PUT", "/v1/jobs" if form else "/v1/uploads/big.bin", watched(190 * MIB), headers)
        assert (answer.status, answer.json["code"]) == (507, "disk_full")
        # It is asked every 64 MiB, or more often.
        assert least > floor - 66 * MIB, "the disk was filled through its floor"
        assert_tidy(service)
        eventually(lambda: service.get("/readyz").status == 200, 10, "the room that the upload took")


@pytest.mark.parametrize("room", [30 * MIB, 90 * MIB], ids=["fetching", "converting"])
def test_job_waits_for_room_and_then_succeeds(disk, models, undisturbed, room):
    """60 MB are fetched and 60 MB are written: one of the two does not fit."""
    with Origin(models["middle"].weights.parent) as origin, Service(
            disk.data, log=disk.log, disk_floor=0, retry_delay=1, retries=50, allow_private_fetch="127.0.0.1") as service:
        disk.fill(leaving=room)
        body = checkpoints.job({"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")})
        job = service.submit(body)
        waiting = eventually(
            lambda: (found := service.job(job["id"]))["status"] == "queued" and found["error"] and found, 60)
        assert waiting["error"]["code"] == "disk_full" and waiting["not_before"] and waiting["outputs"] == []
        # Others are served meanwhile.
        config, weights = service.upload(models["tiny"].config), service.upload(models["tiny"].weights)
        small = service.submit(checkpoints.job({"upload": config}, {"upload": weights}))
        assert service.wait(small["id"])["status"] == "succeeded"
        disk.ballast.unlink()
        ended = service.wait(job["id"], limit=120)
        assert ended["status"] == "succeeded" and ended["attempt"] > 1
        assert digest_all(service.outputs(ended)) == undisturbed["middle", False]
        assert_tidy(service)


def test_job_is_given_up_when_no_room_comes(disk, models):
    with Origin(models["middle"].weights.parent) as origin, Service(
            disk.data, log=disk.log, disk_floor=0, retry_delay=1, retries=1, allow_private_fetch="127.0.0.1") as service:
        disk.fill(leaving=90 * MIB)
        job = service.submit(
            checkpoints.job({"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")}))
        ended = service.wait(job["id"])
        assert (ended["status"], ended["error"]["code"], ended["attempt"]) == ("failed", "disk_full", 2)
        assert_tidy(service)
        assert not (service.folder / "outputs" / job["id"]).exists()


def test_database_on_a_full_disk(disk, models, undisturbed):
    """Not a byte is left while a job runs and others are submitted: nothing is lost, and all goes on by itself."""
    with Origin(models["middle"].weights.parent, rate=30 * MIB) as origin, Service(
            disk.data, log=disk.log, disk_floor=0, lease=3, retry_delay=1, retries=50,
            allow_private_fetch="127.0.0.1") as service:
        config, weights = service.upload(models["tiny"].config), service.upload(models["tiny"].weights)
        body = checkpoints.job({"upload": config}, {"upload": weights})
        job = service.submit(
            checkpoints.job({"url": origin.url("config.json")}, {"url": origin.url("pytorch_model.bin")}))
        service.wait(job["id"], "running", phase="fetching")
        disk.fill(leaving=0)
        # The attempt ends and gives back what it took; that goes, too.
        eventually(lambda: not list((service.folder / "work").iterdir()), 20, "the end of the attempt")
        disk.fill(leaving=0)
        # The log of the database has pages to reuse; after some writes it must grow and cannot.
        answers = [service.send("POST", "/v1/jobs", body, {"Idempotency-Key": f"key-{index}"}) for index in range(200)]
        refused = [answer for answer in answers if answer.status >= 400]
        assert refused, "the disk was not full"
        assert {(answer.status, answer.json["code"]) for answer in refused} == {(507, "disk_full")}
        assert service.get("/healthz").status == 200
        assert service.get(f"/v1/jobs/{job['id']}").status == 200
        disk.ballast.unlink()
        eventually(lambda: service.get("/readyz").status == 200, 20, "readiness")
        ended = service.wait(job["id"], limit=120)
        assert ended["status"] == "succeeded", ended["error"]
        assert digest_all(service.outputs(ended)) == undisturbed["middle", False]
        # A client that sends again gets each job once.
        accepted = {answer.json["id"] for answer in answers if answer.status < 400}
        again = [service.submit(body, f"key-{index}")["id"] for index in range(200)]
        assert len(set(again)) == 200 and accepted <= set(again)
        eventually(lambda: all(service.job(id)["status"] == "succeeded" for id in again), 120, "the end of all jobs")
        assert len(service.jobs()) == 201
        assert_tidy(service)
