#!/usr/bin/env python3
"""Time and memory of whole conversions beside `cp` of the same file, in pairs, so that a drifting machine does not matter.

    .venv/bin/python benchmarks/conversion.py [--binary .build/release/zooport] [--runs 5] [--folder DIR] [--model-zoo DIR]

Makes a GPT-2-shaped float32 checkpoint of 1.5 GB (five sixths of it transposed by the conversion) as .bin and .safetensors in DIR,
and a GPT-J-shaped one of which no tensor changes. Warms the cache, then measures command and `cp --reflink=never` in turn. Prints the
median of each and of their ratios. Files that a measured command wrote are deleted between runs, never while one is timed; neither it nor `cp` waits for the disk.

Then converts a sparse checkpoint of 60 GB to bfloat16, which writes 30 GB, and prints its peak memory beside that of 1.5 GB.
With --model-zoo, the path of a checkout of release 1.8 whose requirements are installed, the vendor's tool is measured once as well.
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


def make_unchanged(folder, binary):
    """Writes unchanged.safetensors, a Model Zoo GPT-J, whose way to Hugging Face renames tensors and changes none, and its config."""
    import torch
    from safetensors.torch import save_file

    d, layers, vocabulary = 2048, 7, 4096
    state = {"transformer.wte.weight": torch.randn(vocabulary, d), "lm_head.weight": torch.randn(vocabulary, d),
             "lm_head.bias": torch.randn(vocabulary), "transformer.ln_f.weight": torch.randn(d), "transformer.ln_f.bias": torch.randn(d)}
    for layer in range(layers):
        h = f"transformer.h.{layer}."
        for name, shape in {"ln_1": (d,), "mlp.fc_in": (4 * d, d), "mlp.fc_out": (d, 4 * d)}.items():
            state[f"{h}{name}.weight"], state[f"{h}{name}.bias"] = torch.randn(*shape), torch.randn(shape[0])
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            state[f"{h}attn.{name}.weight"] = torch.randn(d, d)
    torch.save(state, folder / "gptj.bin")
    (folder / "gptj.json").write_text(json.dumps({
        "model_type": "gptj", "vocab_size": vocabulary, "n_embd": d, "n_head": 16, "n_layer": layers, "n_positions": 2048,
        "n_inner": None, "rotary_dim": 64, "activation_function": "gelu_new", "attn_pdrop": 0.0, "embd_pdrop": 0.0,
        "resid_pdrop": 0.0, "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": False}))
    subprocess.run([binary, "convert", "--model", "gptj", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", folder / "cs",
                    folder / "gptj.bin", "--config", folder / "gptj.json"], check=True, stdout=subprocess.DEVNULL)
    state = torch.load(folder / "cs/gptj_to_cs-1.8.mdl")
    save_file({key: tensor.clone() for key, tensor in state.get("model", state).items()}, folder / "unchanged.safetensors")
    shutil.move(folder / "cs/gptj_to_cs-1.8.yaml", folder / "unchanged.yaml")
    shutil.rmtree(folder / "cs")
    (folder / "gptj.bin").unlink()


def make_sparse(folder, width, layers):
    """Writes sparse.safetensors, GPT-2-shaped, all holes behind its header, and its config. Returns its bytes."""
    d, end, header = width, 0, {}

    def add(name, *shape):
        nonlocal end
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size

    add("transformer.wte.weight", 50257, d)
    add("transformer.wpe.weight", 1024, d)
    for layer in range(layers):
        h = f"transformer.h.{layer}."
        for name, shape in {"ln_1": (d,), "ln_2": (d,), "attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d),
                            "mlp.c_fc": (d, 4 * d), "mlp.c_proj": (4 * d, d)}.items():
            add(f"{h}{name}.weight", *shape)
            add(f"{h}{name}.bias", shape[-1])
    add("transformer.ln_f.weight", d)
    add("transformer.ln_f.bias", d)
    text = json.dumps(header).encode()
    with open(folder / "sparse.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    config = json.loads((folder / "config.json").read_text())
    config.update(n_embd=d, n_layer=layers, n_head=d // 64)
    (folder / "sparse.json").write_text(json.dumps(config))
    return end


def run(command, environment=None):
    """Wall seconds, CPU seconds and peak resident megabytes of one command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command}: {process.stderr.read().decode()}")
    process.returncode = 0
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(name, command, source, out, runs, environment=None):
    rows = []
    for index in range(runs + 1):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        os.sync()
        ours = run(command, environment)
        shutil.rmtree(out)
        out.mkdir()
        os.sync()
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
    parser.add_argument("--model-zoo", type=Path)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        make_unchanged(arguments.make, arguments.binary)
        return
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        # In a process of its own: a child's peak memory counts what its parent held when it was started.
        subprocess.run([sys.executable, __file__, "--make", str(folder), "--binary", binary], check=True)
        os.sync()
        out = folder / "out"
        print("| conversion | wall | CPU | cp | wall / cp | peak RSS |\n|---|---|---|---|---|---|")

        def convert(model, src, tgt, source, config, *options):
            return [binary, "convert", "--model", model, "--src-fmt", src, "--tgt-fmt", tgt, "--output-dir", str(out), *options,
                    str(folder / source), "--config", str(folder / config)]

        for name, source, *command in [
            (".bin -> .mdl (torch archive)", "model.bin", "gpt2", "hf", "cs-1.8", "model.bin", "config.json"),
            (".safetensors -> .mdl (torch archive)", "model.safetensors", "gpt2", "hf", "cs-1.8", "model.safetensors", "config.json"),
            (".bin -> .mdl (HDF5)", "model.bin", "gpt2", "hf", "cs-1.8", "model.bin", "config.json", "--output-format", "hdf5"),
            (".safetensors -> .safetensors, no tensor changed", "unchanged.safetensors", "gptj", "cs-1.8", "hf",
             "unchanged.safetensors", "unchanged.yaml", "--output-format", "safetensors"),
        ]:
            measure(name, convert(*command), folder / source, out, arguments.runs)

        if arguments.model_zoo:
            environment = os.environ | {"PYTHONPATH": str(arguments.model_zoo)}
            script = arguments.model_zoo / "modelzoo/common/pytorch/model_utils/convert_checkpoint.py"
            command = [sys.executable, str(script), "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8",
                       "--output-dir", str(out), str(folder / "model.bin"), "--config", str(folder / "config.json")]
            measure(".bin -> .mdl, the Model Zoo tool", command, folder / "model.bin", out, 1, environment)

        print("\n| memory: .safetensors -> .mdl as bfloat16 | wall | peak RSS |\n|---|---|---|")
        peaks = []
        for width, layers in ((WIDTH, LAYERS), (5120, 47)):
            size = make_sparse(folder, width, layers)
            free = shutil.disk_usage(folder).free
            if free < size * 0.6:
                print(f"| {size / 1e9:.1f} GB, sparse | not run: {free / 1e9:.0f} GB free | |")
                continue
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            command = convert("gpt2", "hf", "cs-1.8", "sparse.safetensors", "sparse.json", "--dtype", "bfloat16")
            wall, _, memory = run(command)
            peaks.append(memory)
            print(f"| {size / 1e9:.1f} GB, sparse | {wall:.1f} s | {memory:.0f} MB |")
        if len(peaks) == 2:
            print(f"\nForty times the checkpoint takes {peaks[1] / peaks[0]:.2f} times the memory.")


if __name__ == "__main__":
    main()
