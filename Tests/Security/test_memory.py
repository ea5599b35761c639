"""Small files that stand for much memory: a plan and a job of any file stay under the budget and 256 MiB."""

import contextlib
import json
import os
import pathlib
import re
import struct
import subprocess
import threading
import time
import zipfile

import checkpoints
import h5py
import numpy
import pytest
import torch
from service import BINARY, Service

MIB = 1 << 20
#: What a plan has; conversions are given less.
PLAN_BUDGET = 256 * MIB
BUDGET = 64 * MIB


def high_water(pid):
    """The most memory that a process had since `forget`, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def forget(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(*arguments):
    """Runs a command; its exit status, its output and the most memory that it had, in bytes."""
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = []
    reader = threading.Thread(target=lambda: text.append(process.stdout.read()))
    reader.start()
    most = 0
    # What wait4 tells counts the memory of this process before it became the other.
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{process.pid}/exe") == str(BINARY):
                most = max(most, high_water(process.pid))
        time.sleep(0.005)
    reader.join()
    return process.returncode, text[0].decode(errors="replace"), most


def archive(path, pickle):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", pickle)
        file.writestr("archive/version", "3\n")


def empty_dictionaries(path):
    archive(path, b"\x80\x02]" + b"(" + b"}" * 19_000_000 + b"e.")


def stacked_dictionaries(path):
    archive(path, b"\x80\x02" + b"}" * 19_000_000 + b".")


def memoized_nones(path):
    archive(path, b"\x80\x04" + b"N\x94" * 9_000_000 + b".")


def appended_numbers(path):
    archive(path, b"\x80\x02]" + (b"(" + b"K\x01" * 1000 + b"e") * 9_000 + b".")


def names_without_bytes(path):
    entries = ",".join(f'"t{index}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for index in range(1_000_000))
    header = ("{" + entries + "}").encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def zip_entries(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")
        for index in range(400_000):
            file.writestr(f"archive/data/{index}", b"")


def unfolding_chunks(path):
    """Two matrices of zeros, each a chunk of 200 MiB that fits a few kilobytes."""
    with h5py.File(path, "w") as file:
        leaf = {"__TYPE__": "TorchTensorSerializer", "dtypes": ["torch.float32"], "shapes": [[52_428_800]]}
        names = ["transformer.ln_f.weight", "transformer.ln_f.bias"]
        _, spec = torch.utils._pytree.tree_flatten(dict.fromkeys(names, 0))
        for name in names:
            file.create_dataset(
                name, shape=(52_428_800,), dtype="f4", chunks=(52_428_800,), compression="gzip",
                data=numpy.zeros(52_428_800, "f4"))
            file.attrs[f"{name}.__metadata__"] = json.dumps({f"{name}.__metadata__": leaf})
        file.attrs["__version__"] = 0.5
        file.attrs["__SUCCESS__"] = True
        file.attrs["__spec__"] = json.dumps(["*", torch.utils._pytree.treespec_dumps(spec)])


FILES = [
    empty_dictionaries, stacked_dictionaries, memoized_nones, appended_numbers, names_without_bytes, zip_entries,
    unfolding_chunks,
]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return checkpoints.make(tmp_path_factory.mktemp("models"), checkpoints.TINY).config


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("command", ["plan", "convert"])
def test_bound(tmp_path, config, make, command):
    checkpoint = tmp_path / "checkpoint"
    make(checkpoint)
    budget = BUDGET if command == "convert" else PLAN_BUDGET
    options = ["--output-dir", tmp_path / "out", "--memory-budget", budget] if command == "convert" else []
    status, text, memory = peak(
        command, "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", *options, checkpoint, "--config", config)
    print(f"{make.__name__} {command}: {checkpoint.stat().st_size >> 20} MiB take {memory >> 20} MiB, {text[:200]}")
    assert status in (0, 1, 3, 4, 5), text[:500]
    assert 0 < memory < budget + 256 * MIB


def test_message_says_what_to_do(tmp_path, config):
    empty_dictionaries(tmp_path / "checkpoint")
    status, text, _ = peak(
        "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", tmp_path / "checkpoint", "--config", config)
    assert status == 5
    assert "larger --memory-budget" in text


@pytest.fixture(scope="module")
def small_service(tmp_path_factory):
    with Service(
        tmp_path_factory.mktemp("service") / "data", memory_budget=BUDGET, total_memory=PLAN_BUDGET, workers=1, disk_floor=0
    ) as service:
        yield service
        assert service.process.poll() is None, "the service died"


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_bound_in_the_service(tmp_path, config, small_service, make):
    """What comes by REST is bounded as it is on the command line, from the upload to the end of the job."""
    service = small_service
    forget(service.process.pid)
    make(tmp_path / "checkpoint")
    body = checkpoints.job(
        {"upload": service.upload(config)}, {"upload": service.upload(tmp_path / "checkpoint", "model.bin")})
    del body["options"], body["reuse"]
    planned = service.send("POST", "/v1/plans", body)
    planning = high_water(service.process.pid)
    forget(service.process.pid)
    job = service.wait(service.submit(body)["id"])
    working = high_water(service.process.pid)
    print(f"{make.__name__}: plan {planned.status} {planning >> 20} MiB, job {job['status']} {working >> 20} MiB")
    assert planned.status < 500, planned.body[:500]
    assert job["status"] == "succeeded" or job["error"]["code"] != "internal", job
    assert 0 < planning < PLAN_BUDGET + 256 * MIB
    # The plan's memory may still be with the allocator, so what the service as a whole may take is the bound.
    assert 0 < working < PLAN_BUDGET + 256 * MIB
