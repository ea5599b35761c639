#!/usr/bin/env python3
"""Time and memory of whole conversions beside `cp` of the same file, in pairs, so that a drifting machine does not matter.

    .venv/bin/python benchmarks/conversion.py [--binary .build/release/zooport] [--runs 5] [--folder DIR]

Makes a GPT-2-shaped float32 checkpoint of 1.5 GB (five sixths of it transposed by the conversion) as .bin and .safetensors in DIR,
warms the cache, then measures command and `cp --reflink=never` in turn. Prints the median of each and of their ratios. Files that a
measured command wrote are deleted between runs, never while one is timed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WIDTH, LAYERS, VOCABULARY, POSITIONS = 1280, 16, 50257, 1024


def make(folder):
    """Writes model.bin, model.safetensors and config.json."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    d = WIDTH
    state = {"transformer.wte.weight": torch.randn(VOCABULARY, d), "transformer.wpe.weight": torch.randn(POSITIONS, d)}
    for layer in range(LAYERS):
        h = f"transformer.h.{layer}."
        for name, shape in {"ln_1": (d,), "ln_2": (d,), "attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d),
                            "mlp.c_fc": (d, 4 * d), "mlp.c_proj": (4 * d, d)}.items():
            state[f"{h}{name}.weight"] = torch.randn(*shape)
            state[f"{h}{name}.bias"] = torch.randn(shape[-1])
    state["transformer.ln_f.weight"], state["transformer.ln_f.bias"] = torch.randn(d), torch.randn(d)
    save_file(state, folder / "model.safetensors")
    torch.save({**state, "lm_head.weight": state["transformer.wte.weight"]}, folder / "model.bin")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": d, "n_head": 20, "n_layer": LAYERS,
        "n_positions": POSITIONS, "n_inner": None, "activation_function": "gelu_new", "attn_pdrop": 0.1,
        "resid_pdrop": 0.1, "embd_pdrop": 0.1, "layer_norm_epsilon": 1e-5, "initializer_range": 0.02}))


def run(command):
    """Wall seconds, CPU seconds and peak resident megabytes of one command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command}: {process.stderr.read().decode()}")
    process.returncode = 0
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(name, command, source, out, runs):
    rows = []
    for index in range(runs + 1):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        ours = run(command)
        shutil.rmtree(out)
        out.mkdir()
        copy = run(["cp", "--reflink=never", str(source), str(out / "copy")])
        if index:  # the first pair warms up
            rows.append((*ours, copy[0], ours[0] / copy[0]))
    wall, cpu, memory, copied, ratio = (statistics.median(column) for column in zip(*rows))
    print(f"| {name} | {wall:.2f} s | {cpu:.2f} s | {copied:.2f} s | {ratio:.2f} x | {max(r[2] for r in rows):.0f} MB |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/zooport")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        return
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        # In a process of its own: a child's peak memory counts what its parent held when it was started.
        subprocess.run([sys.executable, __file__, "--make", str(folder)], check=True)
        os.sync()
        out = folder / "out"
        print("| conversion | wall | CPU | cp | wall / cp | peak RSS |\n|---|---|---|---|---|---|")
        for suffix in ("bin", "safetensors"):
            source = folder / f"model.{suffix}"
            command = [binary, "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir",
                       str(out), str(source), "--config", str(folder / "config.json")]
            measure(f".{suffix} -> .mdl (torch archive)", command, source, out, arguments.runs)


if __name__ == "__main__":
    main()
