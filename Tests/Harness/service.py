"""The real binary as a child process, and the requests that tests send to it. Only the standard library is used."""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

BINARY = Path(os.environ.get("ZOOPORT_BINARY", Path(__file__).parents[2] / ".build/release/zooport")).resolve()

#: Seconds within which a service must listen; the machine may be busy.
START_LIMIT = 60


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def environment(**changes):
    """The environment without settings of somebody's shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZOOPORT_")}
    return {**kept, **{name: str(value) for name, value in changes.items()}}


class Service:
    """One data folder and the processes that serve it, one after the other.

    `flags` are settings by name: Service(folder, workers=2, retry_delay=1). `log` has the log of all lives; it is beside the
    folder unless told. `launcher` is a command that ends in an exec of the binary.
    """

    def __init__(self, folder, env=None, log=None, launcher=(), **flags):
        self.folder = Path(folder)
        self.flags = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        self.env = env or {}
        self.launcher = launcher
        self.log = Path(log) if log else self.folder.with_suffix(".log")
        self.process = None
        self.port = None
        self.token = None
        self.lives = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def start(self, limit=START_LIMIT):
        """Starts a process and waits until it listens. Fails with the log when it does not."""
        self.lives += 1
        with open(self.log, "ab") as log:
            log.write(b'{"message":"life %d"}\n' % self.lives)
            log.flush()
            self.process = subprocess.Popen(
                [*self.launcher, BINARY, "serve", "--port=0", f"--data-dir={self.folder}", *self.flags],
                stdout=subprocess.PIPE, stderr=log, env=environment(**self.env))
        deadline = time.monotonic() + limit
        line = b""
        while b"\n" not in line:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the service does not start: {self.log.read_text()[-2000:]}")
            line += piece
        self.port = urlsplit(line.split()[-1].decode()).port
        return self

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self, limit=20):
        """SIGTERM; answers the exit status."""
        self.process.terminate()
        return self.process.wait(limit)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def lines(self):
        """What was logged, by all lives: one object for each line."""
        lines = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                lines.append(json.loads(line))
        return lines

    def send(self, method, path, body=None, headers=None, timeout=60, token=None):
        """One request on a connection of its own. An object is sent as JSON."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if token or self.token:
            headers.setdefault("Authorization", f"Bearer {token or self.token}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            # A service that refuses a body closes after its answer; the rest cannot be sent, the answer can be read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    method, path, body=body, headers=headers, encode_chunked="Transfer-Encoding" in headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **arguments):
        return self.send("GET", path, **arguments)

    def upload(self, file, name=None):
        """Sends a file and answers its id."""
        with open(file, "rb") as content:
            answer = self.send(
                "PUT", f"/v1/uploads/{quote(name or Path(file).name)}", body=content,
                headers={"Content-Length": str(os.path.getsize(file))})
        assert answer.status == 201, (answer.status, answer.body)
        return answer.json["id"]

    def submit(self, job, key=None):
        """Submits a job and answers it."""
        answer = self.send("POST", "/v1/jobs", job, {"Idempotency-Key": key} if key else {})
        assert answer.status in (200, 202), (answer.status, answer.body)
        return answer.json

    def job(self, identifier):
        return self.get(f"/v1/jobs/{identifier}").json

    def jobs(self):
        """All jobs, newest first."""
        found, cursor = [], ""
        while cursor is not None:
            page = self.get(f"/v1/jobs?limit=200{cursor and '&cursor=' + cursor}").json
            found += page["jobs"]
            cursor = page.get("next_cursor")
        return found

    def wait(self, identifier, *statuses, limit=60, phase=None):
        """Polls until a job has one of the statuses (the ended ones unless told), in `phase` if given."""
        statuses = statuses or ("succeeded", "failed", "cancelled")
        deadline = time.monotonic() + limit
        while True:
            job = self.job(identifier)
            if job["status"] in statuses and (phase is None or job["progress"]["phase"] == phase):
                return job
            assert time.monotonic() < deadline, f"not {statuses} {phase or ''} within {limit} s: {job}"
            time.sleep(0.01)

    def outputs(self, job):
        """The outputs of a job, downloaded, by name."""
        files = {}
        for output in job["outputs"]:
            answer = self.get(output["url"])
            assert answer.status == 200 and len(answer.body) == output["size"], (answer.status, output)
            files[output["name"]] = answer.body
        return files


def eventually(condition, limit=30, what="the condition"):
    """Waits until `condition()` is true and answers its value."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come within {limit} s"
        time.sleep(0.05)
