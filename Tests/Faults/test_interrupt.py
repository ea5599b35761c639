"""A conversion on the command line that somebody interrupts leaves nothing behind."""

import os
import signal
import subprocess
import time

import pytest
from service import BINARY


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_local_conversion(models, tmp_path, number, status):
    model = models["middle"]
    out, tmp = tmp_path / "out", tmp_path / "tmp"
    tmp.mkdir()
    command = [
        BINARY, "convert", model.weights, "--config", model.config, "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt",
        "cs-1.8", "--output-dir", out, "--verify", "--threads", "1", "--memory-budget", "1MiB"]
    # A quick machine may be done before the signal comes; then once more.
    for _ in range(8):
        for file in out.glob("*") if out.exists() else []:
            file.unlink()
        # Whoever runs the tests in the background has SIGINT ignored, and passes that on.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp)},
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
        while process.poll() is None and not (out.exists() and os.listdir(out)):
            time.sleep(0.001)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        if process.returncode != 0:
            break
    assert process.returncode == status, errors
    assert os.listdir(out) == []
    assert os.listdir(tmp) == []
    assert output == ""
    assert errors.strip().endswith("ERROR: interrupted; no output is left")


def test_nohup(models, tmp_path):
    """Who had the signal ignored from the beginning means it."""
    model = models["middle"]
    process = subprocess.Popen(
        [BINARY, "convert", model.weights, "--config", model.config, "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt",
         "cs-1.8", "--output-dir", tmp_path / "out"],
        stdout=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    while process.poll() is None and not (tmp_path / "out").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
