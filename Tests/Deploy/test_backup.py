"""deploy/backup.sh beside a running service that changes meanwhile, and the service that is restored from the copy."""

import base64
import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import threading

import checkpoints
import pytest
from needs import missing
from origin import Origin
from service import Service, eventually

TUS = {"Tus-Resumable": "1.0.0"}


def backup(deploy, folder, target, **variables):
    return subprocess.run(
        [deploy / "backup.sh", folder, target], capture_output=True, text=True, timeout=60,
        env={**os.environ, **{name: str(value) for name, value in variables.items()}})


def begin_upload(service, content, sent):
    """An unfinished upload with `sent` bytes on the disk; answers its address."""
    made = service.send("POST", "/v1/uploads", content[:sent], {
        **TUS, "Upload-Length": str(len(content)), "Content-Type": "application/offset+octet-stream",
        "Upload-Metadata": "filename " + base64.b64encode(b"part.bin").decode()})
    assert made.status == 201 and made.headers["Upload-Offset"] == str(sent), made.body
    location = made.headers["Location"]
    return location[location.index("/v1/"):]


def go_on(service, address, content):
    """Sends the rest of an upload, from the offset that the service tells; answers that offset."""
    offset = int(service.send("HEAD", address, headers=TUS).headers["Upload-Offset"])
    answer = service.send("PATCH", address, content[offset:], {
        **TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"})
    assert answer.status == 204, answer.body
    assert service.get(address).json["sha256"] == hashlib.sha256(content).hexdigest()
    return offset


@pytest.fixture
def slow(tiny):
    with Origin(tiny.weights.parent, rate=500) as origin:
        yield origin


@pytest.fixture
def service(tmp_path, slow):
    """One worker, so that jobs behind one that downloads slowly are queued."""
    with Service(tmp_path / "data", disk_floor=0, workers=1, allow_private_fetch="127.0.0.1") as service:
        yield service


def restored(target, **flags):
    return Service(target, log=target.with_name("restored.log"), disk_floor=0, allow_private_fetch="127.0.0.1", **flags)


def submit_slow(service, slow):
    job = service.submit(checkpoints.job({"url": slow.url("config.json")}, {"url": slow.url("pytorch_model.bin")}))
    service.wait(job["id"], "running", phase="fetching")
    return job


def inputs(service, tiny):
    return [{"upload": service.upload(file)} for file in (tiny.config, tiny.weights)]


def test_backup_of_a_running_service_and_restore(deploy, tmp_path, service, slow, tiny):
    """What had succeeded is there with its outputs; what ran is run again; an upload goes on where it was."""
    ended = service.wait(service.submit(checkpoints.job(*inputs(service, tiny)))["id"])
    outputs = service.outputs(ended)
    running = submit_slow(service, slow)
    content = os.urandom(100_000)
    address = begin_upload(service, content, 40_000)
    # Nothing in the name of the target means anything to a shell or to sqlite3.
    target = tmp_path / "it's \"a\" copy; --"
    process = backup(deploy, service.folder, target)
    assert process.returncode == 0, process.stderr
    assert "2 jobs" in process.stdout and "left out" not in process.stdout
    assert target.stat().st_mode & 0o77 == 0, "others could read the tokens' digests"
    kept = next((target / "outputs").glob("*/*.mdl"))
    assert kept.stat().st_nlink == 2, "a copy on the same disk takes room"
    assert not (target / "token.key").exists()
    again = backup(deploy, service.folder, target)
    assert again.returncode == 2, "an older backup would be overwritten"

    service.send("DELETE", ended["url"])
    go_on(service, address, content)
    service.kill()
    slow.rate = None
    with restored(target) as copy:
        assert copy.outputs(copy.job(ended["id"])) == outputs
        assert copy.wait(running["id"])["status"] == "succeeded"
        assert go_on(copy, address, content) == 40_000
    service.start()
    assert service.get(address).json["sha256"] == hashlib.sha256(content).hexdigest(), "the copy has changed the original"


@contextlib.contextmanager
def meanwhile(tmp_path, action):
    """A PATH with a `cp` that calls `action` first: the database has been copied by then, and no file.

    There is an unfinished upload, which is the first to be copied, with `cp`.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    waiting, hold = tmp_path / "waiting", tmp_path / "hold"
    hold.touch()
    (folder / "cp").write_text(
        f"#!/bin/sh\ntouch {shlex.quote(str(waiting))}\nwhile [ -e {shlex.quote(str(hold))} ]; do sleep 0.05; done\n"
        f"exec {shutil.which('cp')} \"$@\"\n")
    (folder / "cp").chmod(0o755)
    failures = []

    def run():
        try:
            eventually(waiting.exists, what="the first copy of a file")
            action()
        except BaseException as error:  # reported by the main thread
            failures.append(error)
        finally:
            hold.unlink()

    thread = threading.Thread(target=run)
    thread.start()
    yield f"{folder}:{os.environ['PATH']}"
    thread.join()
    if failures:
        raise failures[0]


def test_what_is_deleted_meanwhile_is_left_out(deploy, tmp_path, service, slow, tiny):
    """The copy has no record without its files, and the service that is restored from it does not notice anything."""
    kept = service.wait(service.submit(checkpoints.job(*inputs(service, tiny)))["id"])
    outputs = service.outputs(kept)
    deleted = service.wait(service.submit(checkpoints.job(*inputs(service, tiny)))["id"])
    running = submit_slow(service, slow)
    ids = inputs(service, tiny)
    queued = service.submit(checkpoints.job(*ids))
    assert service.job(queued["id"])["status"] == "queued"
    alone = service.upload(tiny.config)
    content = os.urandom(100_000)
    unfinished, finished, given_up = (begin_upload(service, content, size) for size in (10_000, 20_000, 30_000))

    def change():
        addresses = [
            deleted["url"], queued["url"], queued["url"], f"/v1/uploads/{alone}", f"/v1/uploads/{ids[1]['upload']}"]
        # The first DELETE of the queued job cancels it, the second deletes it.
        assert [service.send("DELETE", address).status for address in addresses] == [204, 200, 204, 204, 204]
        assert service.send("DELETE", given_up, headers=TUS).status == 204
        go_on(service, finished, content)

    with meanwhile(tmp_path, change) as path:
        process = backup(deploy, service.folder, tmp_path / "copy", PATH=path)
    assert process.returncode == 0, process.stderr
    assert "2 jobs" in process.stdout
    assert "left out: 2 jobs and 3 uploads." in process.stdout
    slow.rate = None
    with restored(tmp_path / "copy") as copy:
        assert {job["id"] for job in copy.jobs()} == {kept["id"], running["id"]}
        assert copy.outputs(copy.job(kept["id"])) == outputs
        assert copy.wait(running["id"])["status"] == "succeeded"
        assert copy.get(f"/v1/uploads/{alone}").status == 404
        assert copy.send("HEAD", given_up, headers=TUS).status == 404
        assert [go_on(copy, address, content) for address in (unfinished, finished)] == [10_000, 20_000]
    uploaded = next(service.folder.glob(f"uploads/{finished.split('/')[-1]}/*"))
    assert uploaded.read_bytes() == content, "the copy has changed the original"


def test_deleting_and_submitting_go_on(deploy, tmp_path, tiny):
    """Many jobs come and go while the copy is made: those that stay are in it, and what it names is there, every time."""
    with Service(tmp_path / "data", disk_floor=0) as service:
        body = checkpoints.job(*inputs(service, tiny)) | {"reuse": True}
        service.wait(service.submit(body)["id"])
        kept, moving = [], []
        for _ in range(40):
            moving.append(service.submit(body))
            kept.append(service.submit(body)["id"])
        stopped = threading.Event()

        def churn():
            while not stopped.is_set():
                assert service.send("DELETE", moving.pop(0)["url"]).status == 204
                moving.append(service.submit(body))

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            processes = [backup(deploy, service.folder, tmp_path / f"copy-{number}") for number in range(2)]
        finally:
            stopped.set()
            thread.join()
    for number, process in enumerate(processes):
        assert process.returncode == 0, process.stderr
        with restored(tmp_path / f"copy-{number}") as copy:
            jobs = copy.jobs()
            assert set(kept) < {job["id"] for job in jobs}
            for job in jobs:
                assert job["status"] == "succeeded"
                assert copy.send("HEAD", job["outputs"][0]["url"]).status == 200, job


@pytest.mark.parametrize("size, reason", [("64k", "the database cannot be copied"), ("1m", "No space left on device")])
def test_a_copy_that_has_no_room_fails_and_takes_none(deploy, tmp_path, service, size, reason):
    """The reason is told, and nothing stays that would fill the disk."""
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(2 << 20))
    service.upload(large)
    target = tmp_path / "target"
    target.mkdir()
    # The small disk is seen by this one command only; a link to another disk cannot be made.
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", target], capture_output=True).returncode:
        missing("mounting a tmpfs needs user namespaces")
    script = 'mount -t tmpfs -o size=$1 tmpfs "$2"; "$3" "$4" "$2/copy"; status=$?; ls "$2"; exit $status'
    process = subprocess.run(
        [*namespace, "bash", "-c", script, "small disk", size, target, deploy / "backup.sh", service.folder],
        capture_output=True, text=True, timeout=60)
    assert process.returncode == 1, process.stdout + process.stderr
    assert "FAILED" in process.stderr and reason in process.stderr, process.stderr
    assert process.stdout == "", "something is left, or was called complete"


def test_what_is_no_data_folder_is_refused(deploy, tmp_path):
    assert backup(deploy, tmp_path, tmp_path / "copy").returncode == 2
    assert not (tmp_path / "copy").exists()
