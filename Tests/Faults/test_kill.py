"""kill -9 at random moments, over jobs of every phase.

ZOOPORT_KILLS says how often (12 unless told; `make faults` asks for 100), ZOOPORT_SEED where the dice start. Each kill
waits for a phase, in turn, and for a random moment within it; every seventh comes wherever it comes. Most wait until a job
has ended since the last one, so that the queue moves on.
"""

import collections
import contextlib
import hashlib
import http.client
import os
import random
import shutil
import sqlite3
import threading
import time
import uuid

import checkpoints
from conftest import digest_all
from origin import Origin
from service import Service, eventually

KILLS = int(os.environ.get("ZOOPORT_KILLS", "12"))
SEED = int(os.environ.get("ZOOPORT_SEED", "1"))
AIMS = ["queued", "fetching", "planning", "converting", "verifying", "publishing", None]
#: Jobs that wait or run at any time while the kills go on.
BACKLOG = 6
NO_ANSWER = (OSError, http.client.HTTPException)


class Submitter:
    """Keeps the queue filled, as a client that repeats a submission under its key until it is answered."""

    def __init__(self, service, kinds, dice):
        self.service, self.kinds, self.dice = service, kinds, dice
        self.submitted = {}  # id -> kind
        self.active = set()
        self.repeated = 0
        self.stopped = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.stopped.is_set():
                if len(self.active) < BACKLOG:
                    self._submit()
                else:
                    time.sleep(0.01)
        except BaseException as error:  # reported by the main thread
            self.failure = error

    def _submit(self):
        kind = self.dice.choice(sorted(self.kinds))
        key = str(uuid.UUID(int=self.dice.getrandbits(128)))
        while True:
            with contextlib.suppress(*NO_ANSWER):
                job = self.service.submit(self.kinds[kind], key)
                assert job["id"] not in self.submitted
                self.submitted[job["id"]] = kind
                self.active.add(job["id"])
                return
            self.repeated += 1
            time.sleep(0.02)

    def stop(self):
        """Ends the thread after the submission at hand."""
        self.stopped.set()
        self.thread.join()
        if self.failure:
            raise self.failure


class Observer:
    """Checks everything that can be seen from outside, again and again."""

    def __init__(self, service, submitter, expected):
        self.service, self.submitter, self.expected = service, submitter, expected
        self.ended = {}  # id -> what was said about the end
        self.hashed = {}  # (inode, size, mtime) -> digest

    def look(self):
        """The phases that there are now; `queued` counts as one. Raises when the service does not answer."""
        phases = set()
        for job in self.service.get("/v1/jobs?limit=50").json["jobs"]:
            status, identifier = job["status"], job["id"]
            phases.add("queued" if status == "queued" else job["progress"] and job["progress"]["phase"])
            if status in ("queued", "running"):
                assert identifier not in self.ended, f"ended before, and {status} again: {job}"
                assert job["outputs"] == [], job
                continue
            assert status == "succeeded", job["error"]
            end = (job["finished_at"], job["attempt"], str(job["outputs"]))
            assert self.ended.setdefault(identifier, end) == end, f"ended twice: {job}"
            self.submitter.active.discard(identifier)
            if identifier in self.submitter.submitted:
                seen = {output["name"]: output["sha256"] for output in job["outputs"]}
                assert seen == self.expected[self.submitter.submitted[identifier]]
        return phases

    def probe(self):
        """No output of a job that has not succeeded can be downloaded."""
        running = [id for id in list(self.submitter.active) if id not in self.ended]
        if not running:
            return
        identifier = random.choice(running)
        name = next(iter(self.expected[self.submitter.submitted[identifier]]))
        answer = self.service.get(f"/v1/jobs/{identifier}/outputs/{name}")
        if answer.status != 404:
            assert self.service.job(identifier)["status"] == "succeeded"

    def inspect_disk(self, scratch):
        """After a kill: whatever is in the place of outputs is complete, and whatever has succeeded is there.

        Answers the phases of the jobs at that moment, as database and disk show them; `queued` counts as one.
        """
        complete = {}
        for folder in (self.service.folder / "outputs").iterdir():
            complete[folder.name] = {file.name: self.digest(file) for file in folder.iterdir()}
            assert complete[folder.name] in self.expected.values(), f"partial outputs: {folder}"
        # A copy, so that the recovery of the database is the service's own.
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for file in self.service.folder.glob("zooport.sqlite*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, scratch)
        with contextlib.closing(sqlite3.connect(scratch / "zooport.sqlite")) as database:
            jobs = database.execute("SELECT id, status, fence FROM jobs").fetchall()
        succeeded = {id for id, status, _ in jobs if status == "succeeded"}
        assert succeeded <= complete.keys(), succeeded - complete.keys()
        folders = [self.service.folder / "work" / f"{id}.{fence}" for id, status, fence in jobs if status == "running"]
        return {self.phase(folder) for folder in folders} | {"queued" for _, status, _ in jobs if status == "queued"}

    def phase(self, folder):
        """How far an attempt was that was killed.

        A file has a hidden name until it is published. The report is the last to be written, after the weights were verified.
        """
        outputs = [file.name for file in (folder / "outputs").glob("*")]
        if any("report" in name or not name.startswith(".") for name in outputs):
            return "publishing"
        weights = next((folder / "outputs" / name for name in outputs if ".mdl" in name), None)
        if weights:
            whole = {digest for files in self.expected.values() for digest in files.values()}
            return "verifying" if self.digest(weights) in whole else "converting"
        checkpoint = [file.name for file in (folder / "checkpoint").glob("*")]
        if not (folder / "outputs").exists():
            # Made with the folder of the attempt, and renamed away at the very end.
            return "publishing" if checkpoint else "fetching"
        # A download keeps notes beside the file until it is complete.
        is_fetched = len(checkpoint) == 1 and (folder / "checkpoint" / checkpoint[0]).stat().st_size > 0
        return "planning" if is_fetched else "fetching"

    def digest(self, file):
        status = file.stat()
        key = (status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self.hashed:
            with open(file, "rb") as content:
                self.hashed[key] = hashlib.file_digest(content, "sha256").hexdigest()
        return self.hashed[key]


def aim(observer, phase, dice):
    """Waits for `phase` and a random moment after it began; gives up after 5 s. What it hit shows after the kill."""
    before, deadline = len(observer.ended), time.monotonic() + 5
    is_patient = dice.random() < 0.7
    while is_patient and len(observer.ended) == before and time.monotonic() < deadline:
        observer.look()
    if phase is None:
        time.sleep(dice.uniform(0, 1))
        return
    deadline = time.monotonic() + 5
    while True:
        phases = observer.look()
        if phase in phases or time.monotonic() > deadline:
            time.sleep(dice.uniform(0, 0.03))
            return
        observer.probe()


def test_nothing_is_lost_doubled_or_half_visible(models, undisturbed, tmp_path):
    dice = random.Random(SEED)
    hits = collections.Counter()
    middle = models["middle"]
    with Origin(middle.weights.parent, rate=120 << 20) as origin, Service(
            tmp_path / "data", workers=2, threads=1, allow_private_fetch="127.0.0.1") as service:
        uploads = {
            name: [{"upload": service.upload(model.config)}, {"upload": service.upload(model.weights)}]
            for name, model in models.items()}
        remote = {"url": origin.url("pytorch_model.bin")}
        kinds = {
            "tiny": checkpoints.job(*uploads["tiny"], verify=False),
            "middle": checkpoints.job(*uploads["middle"], verify=True),
            "deep": checkpoints.job(*uploads["deep"], verify=True),
            "fetched": checkpoints.job({"url": origin.url("config.json")}, remote, verify=True),
        }
        expected = {"tiny": undisturbed["tiny", False], "middle": undisturbed["middle", True],
                    "deep": undisturbed["deep", True], "fetched": undisturbed["middle", True]}
        submitter = Submitter(service, kinds, random.Random(SEED + 1))
        observer = Observer(service, submitter, expected)
        try:
            for kill in range(KILLS):
                phase = AIMS[kill % len(AIMS)]
                aim(observer, phase, dice)
                service.kill()
                hits.update(observer.inspect_disk(tmp_path / "scratch"))
                service.start()
        finally:
            submitter.stop()

        eventually(lambda: not (observer.look() - {None}), limit=300, what="the end of all jobs")
        jobs = {job["id"]: job for job in service.jobs()}
        assert jobs.keys() == submitter.submitted.keys(), "lost, or submitted twice"
        sources = {}
        for identifier, kind in submitter.submitted.items():
            assert jobs[identifier]["status"] == "succeeded", jobs[identifier]
            if kind in sources:  # one download of each kind; the files of the others are hashed where they are
                folder = service.folder / "outputs" / identifier
                assert {file.name: observer.digest(file) for file in folder.iterdir()} == expected[kind]
            else:
                sources[kind] = digest_all(service.outputs(jobs[identifier]))
                assert sources[kind] == expected[kind]
        assert service.stop() == 0

        # The folder holds what it should and nothing else.
        assert {folder.name for folder in (service.folder / "outputs").iterdir()} == jobs.keys()
        assert not list((service.folder / "work").iterdir()) + list((service.folder / "incoming").iterdir())
        with contextlib.closing(sqlite3.connect(service.folder / "zooport.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []

    assert_logged_once(service)
    attempts = sum(job["attempt"] for job in jobs.values())
    print(f"\n{KILLS} kills, seed {SEED}: {len(jobs)} jobs in {attempts} attempts, {submitter.repeated} submissions "
          f"repeated; jobs were", ", ".join(f"{phase} {hits[phase]}" for phase in AIMS if phase), "times at a kill")
    if KILLS >= 50:
        missed = [phase for phase in AIMS if phase and not hits[phase]]
        assert not missed, f"no kill hit {missed}"
    assert service.lives == KILLS + 1


def test_what_stops_the_service_costs_nobody_else_a_job(models, undisturbed, tmp_path):
    """Each time that one job runs, the service dies. The others run, and it is given up after three times alone."""
    middle = models["middle"]
    with Origin(middle.weights.parent, rate=1 << 20) as origin, Service(
            tmp_path / "data", workers=3, small_job=0, threads=1, max_attempts=3,
            allow_private_fetch="127.0.0.1") as service:
        inputs = [{"upload": service.upload(file)} for file in (middle.config, middle.weights)]
        # It takes a minute to fetch: time enough to see that it runs.
        poison = service.submit(checkpoints.job(inputs[0], {"url": origin.url("pytorch_model.bin")}))["id"]
        others = [service.submit(checkpoints.job(*inputs, verify=True))["id"] for _ in range(4)]
        kills = 0
        while (found := service.job(poison))["status"] != "failed":
            if found["status"] == "running":
                service.kill()
                kills += 1
                service.start()
            time.sleep(0.002)
        assert kills == 5, "two in company, three alone"
        assert (found["error"]["code"], found["outputs"]) == ("internal", [])
        for other in others:
            ended = service.wait(other, limit=120)
            assert ended["status"] == "succeeded", ended["error"]
            assert ended["attempt"] <= 3
            assert digest_all(service.outputs(ended)) == undisturbed["middle", True]


def assert_logged_once(service):
    """No life of the service started a job twice, and no job succeeded twice over all of them."""
    started, succeeded = collections.Counter(), collections.Counter()
    life = 0
    for line in service.lines():
        message = line.get("message", "")
        if message.startswith("life "):
            life += 1
        elif message == "job started":
            started[life, line["job"]] += 1
        elif message == "job succeeded":
            succeeded[line["job"]] += 1
    assert started and max(started.values()) == 1
    assert succeeded and max(succeeded.values()) == 1
