#!/usr/bin/env python3
"""The service under load, beside nginx with the same bytes on the same machine in the same run.

    .venv/bin/python benchmarks/load.py [--binary .build/release/zooport] [--seconds 8] [--runs 5] [--jobs 200]

Prints three tables: 64 clients that poll over kept connections, alone and while 200 jobs are queued at once; the jobs; uploads
and downloads of 1 GiB. Needs wrk, nginx and curl. Medians; an answer of 5xx anywhere ends the program with 1.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "Tests/Harness"))
import checkpoints  # noqa: E402
import service as harness  # noqa: E402
from nginx import Nginx  # noqa: E402

CLIENTS = 64
#: 1 GiB when it is converted.
BIG = checkpoints.Shape("big", 2048, 5, 2000)

#: Asks for one path after the other and prints what wrk has counted as JSON.
POLL = """
local paths = {}
for line in io.lines(os.getenv("POLL_PATHS")) do paths[#paths + 1] = line end
local index = 0
request = function()
  index = index % #paths + 1
  return wrk.format("GET", paths[index])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"refused":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    print()
    row(*cells)
    print("|" + "---|" * len(cells))


class Poller:
    """wrk with 64 connections, in the background."""

    def __init__(self, folder, base, paths, seconds):
        (folder / "poll.lua").write_text(POLL)
        (folder / "paths").write_text("\n".join(paths) + "\n")
        self.process = subprocess.Popen(
            ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}", "-s", folder / "poll.lua", base], stdout=subprocess.PIPE,
            text=True, env={**os.environ, "POLL_PATHS": str(folder / "paths")})

    def result(self):
        output, _ = self.process.communicate()
        result = json.loads(re.search(r"\{.*\}", output)[0])
        if result["refused"] or result["broken"]:
            raise SystemExit(f"polling failed: {result}")
        return result


def poll_row(name, results):
    rate = statistics.median(r["requests"] / r["seconds"] for r in results)
    row(name, f"{rate:,.0f}", *(f"{statistics.median(r[key] for r in results):.1f} ms" for key in ("p50", "p99")))


def queue(service, body, count):
    """Submits jobs as fast as they are taken; answers the seconds until all are accepted, and until all have ended."""
    start = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        ids = [job["id"] for job in pool.map(lambda _: service.submit(body), range(count))]
    accepted = time.monotonic() - start
    while True:
        if not any(service.get(f"/v1/jobs?limit=1&status={status}").json["jobs"] for status in ("queued", "running")):
            break
        time.sleep(0.05)
    total = time.monotonic() - start
    failed = [id for id in ids if service.job(id)["status"] != "succeeded"]
    if failed:
        raise SystemExit(f"{len(failed)} of {count} jobs did not succeed")
    return accepted, total


def cpu_seconds(pid):
    """Of a process and its children, dead or alive."""
    total = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(entry.name) == pid or int(fields[1]) == pid:
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def transfer(pid, *arguments):
    """One curl; answers its seconds and the CPU seconds of the server."""
    before, start = cpu_seconds(pid), time.monotonic()
    subprocess.run(["curl", "-sSf", "--noproxy", "*", "-o", "/dev/null", *map(str, arguments)], check=True)
    return time.monotonic() - start, cpu_seconds(pid) - before


def transfers(folder, service, nginx, runs):
    """Rows for uploads and downloads, our server and nginx in turn."""
    big = checkpoints.make(folder / "models", BIG)
    ids = [{"upload": service.upload(file)} for file in (big.config, big.weights)]
    job = service.wait(service.submit(checkpoints.job(*ids))["id"], limit=300)
    output = max(job["outputs"], key=lambda output: output["size"])
    size = output["size"]
    file = service.folder / "outputs" / job["id"] / output["name"]
    (nginx.root / "big").hardlink_to(file)
    measured = {}
    for index in range(runs + 1):
        for name, pid, base, path in (
                ("zooport", service.process.pid, service.base, output["url"]),
                ("nginx", nginx.process.pid, nginx.base, "/big")):
            down = transfer(pid, base + path)
            target = "/v1/uploads/big" if name == "zooport" else "/incoming/big"
            up = transfer(pid, "-T", file, base + target)
            if index:  # the first round warms up
                measured.setdefault(("download", name), []).append(down)
                measured.setdefault(("upload", name), []).append(up)
        shutil.rmtree(nginx.root / "incoming")
        for page in service.folder.glob("uploads/*/big"):
            service.send("DELETE", f"/v1/uploads/{page.parent.name}")
    head("1 GiB over loopback", "zooport", "nginx", "wall, ratio", "CPU, ratio")
    for kind in ("download", "upload"):
        ours, theirs = measured[kind, "zooport"], measured[kind, "nginx"]
        cells = []
        for runs_ in (ours, theirs):
            wall, cpu = (statistics.median(column) for column in zip(*runs_))
            cells.append(f"{size / wall / 1e9:.2f} GB/s, {cpu:.2f} s CPU")
        ratios = [statistics.median(a[i] / max(b[i], 0.01) for a, b in zip(ours, theirs)) for i in (0, 1)]
        row(kind, *cells, *(f"{ratio:.2f} x" for ratio in ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=harness.BINARY)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=200)
    arguments = parser.parse_args()
    harness.BINARY = arguments.binary.resolve()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        service = stack.enter_context(harness.Service(folder / "data"))
        nginx = stack.enter_context(Nginx(folder / "nginx"))
        tiny = checkpoints.make(folder / "models", checkpoints.TINY)
        body = checkpoints.job({"upload": service.upload(tiny.config)}, {"upload": service.upload(tiny.weights)})
        queue(service, body, 16)
        paths = [job["url"] for job in service.jobs()]
        (nginx.root / "job").write_bytes(service.get(paths[0]).body)

        head(f"{CLIENTS} clients polling", "requests/s", "p50", "p99")
        alone, beside, static, quiet, busy = [], [], [], [], []
        for _ in range(3):
            static.append(Poller(folder, nginx.base, ["/job"], arguments.seconds).result())
            alone.append(Poller(folder, service.base, paths, arguments.seconds).result())
            quiet.append(queue(service, body, arguments.jobs))
            poller = Poller(folder, service.base, paths, 600)
            time.sleep(0.2)
            busy.append(queue(service, body, arguments.jobs))
            poller.process.send_signal(signal.SIGINT)  # wrk prints what it has
            beside.append(poller.result())
        poll_row("status of a job", alone)
        poll_row(f"status, while {arguments.jobs} jobs are queued at once and run", beside)
        poll_row("nginx, a file with the same document", static)
        head(f"{arguments.jobs} jobs of tiny models at once", "accepted after", "all ended after", "jobs/s")
        for name, runs in (("nobody polling", quiet), (f"{CLIENTS} clients polling", busy)):
            accepted, total = (statistics.median(column) for column in zip(*runs))
            row(name, f"{accepted:.2f} s", f"{total:.2f} s", f"{arguments.jobs / total:,.0f}")
        transfers(folder, service, nginx, arguments.runs)

        faults = [line for line in service.get("/metrics").body.decode().splitlines()
                  if line.startswith("zooport_http_requests_total") and 'status="5' in line]
        print(f"\nAnswers of 5xx: {len(faults)}")
        if faults:
            raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
