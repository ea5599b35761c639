#!/usr/bin/env python3
"""Time and memory of whole conversions beside `cp` of the same file, in pairs, so that a drifting machine does not matter.

    .venv/bin/python benchmarks/conversion.py [--binary .build/release/zooport] [--runs 5] [--folder DIR] [--model-zoo DIR]
                                              [--layers 32] [files] [memory] [llama]

Without a name all three are measured.

files: Makes a GPT-2-shaped float32 checkpoint of 1.5 GB (five sixths of it transposed by the conversion) as .bin and .safetensors in DIR,
and a GPT-J-shaped one of which no tensor changes. Warms the cache, then measures command and `cp --reflink=never --sparse=never` in turn. Prints the
median of each and of their ratios. Files that a measured command wrote are deleted between runs, never while one is timed; neither it nor `cp` waits for the disk.

memory: converts a sparse checkpoint of 60 GB to bfloat16, which writes 30 GB, and prints its peak memory beside that of 1.5 GB.

llama: Llama with 7 billion parameters in float16, 13.5 GB in two shards that are holes behind their headers, to cs-2.9 and back, in
shards again. `cp --sparse=never` writes the same zeros, and neither reads the holes. Nothing of the source is in the page cache when either
begins, since 13.5 GB would not stay there. --layers makes a smaller model.

With --model-zoo, the path of a checkout of release 1.8 whose requirements are installed, the vendor's tool is measured once as well.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WIDTH, LAYERS, VOCABULARY, POSITIONS = 1280, 16, 50257, 1024


def gpt2(width, layers):
    """A config with heads of 64."""
    return {
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": width, "n_head": width // 64, "n_layer": layers,
        "n_positions": POSITIONS, "n_inner": None, "activation_function": "gelu_new", "attn_pdrop": 0.1,
        "resid_pdrop": 0.1, "embd_pdrop": 0.1, "layer_norm_epsilon": 1e-5, "initializer_range": 0.02}


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
    (folder / "config.json").write_text(json.dumps(gpt2(d, LAYERS)))


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


def make_release(folder, binary):
    """Writes release.mdl and release.yaml, the GPT-2 in cs-2.9 as HDF5, and mup.yaml, which says that it is a muP model."""
    subprocess.run([binary, "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", folder / "cs",
                    folder / "model.bin", "--config", folder / "config.json"], check=True, stdout=subprocess.DEVNULL)
    shutil.move(folder / "cs/model_to_cs-2.9.mdl", folder / "release.mdl")
    shutil.move(folder / "cs/config_to_cs-2.9.yaml", folder / "release.yaml")
    shutil.rmtree(folder / "cs")
    lines = (folder / "release.yaml").read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.strip().startswith("hidden_size:"))
    margin = lines[place][:len(lines[place]) - len(lines[place].lstrip())]
    scales = {"mup_base_hidden_size": WIDTH // 5, "embeddings_scale": 10.0, "output_logits_alpha": 0.7, "scale_qk_dot_by_d": "true"}
    lines[place:place] = [f"{margin}{key}: {value}\n" for key, value in scales.items()]
    (folder / "mup.yaml").write_text("".join(lines))


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

    add("transformer.wte.weight", VOCABULARY, d)
    add("transformer.wpe.weight", POSITIONS, d)
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
    (folder / "sparse.json").write_text(json.dumps(gpt2(d, layers)))
    return end


def make_llama(folder, layers):
    """Writes Llama 7B in float16 as save_pretrained does: shards of 10 GB, all holes behind their headers, index and config."""
    d, inner, vocabulary = 4096, 11008, 32000
    tensors = {"model.embed_tokens.weight": (vocabulary, d)}
    for layer in range(layers):
        h = f"model.layers.{layer}."
        tensors |= {f"{h}self_attn.{part}_proj.weight": (d, d) for part in "qkvo"}
        tensors |= {f"{h}mlp.gate_proj.weight": (inner, d), f"{h}mlp.up_proj.weight": (inner, d), f"{h}mlp.down_proj.weight": (d, inner)}
        tensors |= {f"{h}{norm}.weight": (d,) for norm in ("input_layernorm", "post_attention_layernorm")}
    tensors |= {"model.norm.weight": (d,), "lm_head.weight": (vocabulary, d)}
    shards, room = [], 0
    for name, shape in tensors.items():
        size = 2 * math.prod(shape)
        if size > room:
            shards.append({})
            room = 10 * 1000**3
        shards[-1][name] = shape
        room -= size
    places = {}
    folder.mkdir()
    for number, shard in enumerate(shards, 1):
        file, header, end = f"model-{number:05}-of-{len(shards):05}.safetensors", {}, 0
        for name, shape in shard.items():
            size = 2 * math.prod(shape)
            header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
            places[name] = file
            end += size
        text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
        with open(folder / file, "wb") as output:
            output.write(len(text).to_bytes(8, "little") + text)
            output.truncate(8 + len(text) + end)
    total = sum(2 * math.prod(shape) for shape in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}))
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": vocabulary, "hidden_size": d,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": 32, "num_key_value_heads": 32,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 10000.0,
        "initializer_range": 0.02, "tie_word_embeddings": False, "torch_dtype": "float16"}))
    return total


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


TABLE = "| conversion | wall | CPU | cp | wall / cp | peak RSS |\n|---|---|---|---|---|---|"


def forget(paths):
    """Takes files out of the page cache. What is dirty has to be on the disk."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def measure(name, command, sources, out, runs, environment=None, cold=False):
    """Prints a row of the table. `cold`: both commands find nothing of the sources in memory, where they would not stay anyway."""
    rows = []
    for index in range(1 if cold else 0, runs + 1):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        os.sync()
        if cold:
            forget(sources)
        ours = run(command, environment)
        shutil.rmtree(out)
        out.mkdir()
        os.sync()
        if cold:
            forget(sources)
        copy = run(["cp", "--reflink=never", "--sparse=never", *map(str, sources), str(out)])
        if index:  # the first pair warms up
            rows.append((*ours, copy[0], ours[0] / copy[0]))
    shutil.rmtree(out)
    wall, cpu, memory, copied, ratio = (statistics.median(column) for column in zip(*rows))
    print(f"| {name} | {wall:.2f} s | {cpu:.2f} s | {copied:.2f} s | {ratio:.2f} x | {max(r[2] for r in rows):.0f} MB |", flush=True)


def convert(binary, model, source_format, target_format, source, config, out, *options):
    return [binary, "convert", "--model", model, "--src-fmt", source_format, "--tgt-fmt", target_format, "--output-dir", str(out),
            *options, str(source), "--config", str(config)]


def files(binary, folder, out, runs, model_zoo):
    # In a process of its own: a child's peak memory counts what its parent held when it was started.
    subprocess.run([sys.executable, __file__, "--make", str(folder), "--binary", binary], check=True)
    os.sync()
    print(TABLE)
    for name, source, config, *way in [
        (".bin -> .mdl (torch archive)", "model.bin", "config.json", "gpt2", "hf", "cs-1.8"),
        (".safetensors -> .mdl (torch archive)", "model.safetensors", "config.json", "gpt2", "hf", "cs-1.8"),
        (".bin -> .mdl (HDF5), cs-2.9", "model.bin", "config.json", "gpt2", "hf", "cs-2.9"),
        (".mdl (HDF5), cs-2.9 -> .bin", "release.mdl", "release.yaml", "gpt2", "cs-2.9", "hf"),
        (".mdl (HDF5), cs-2.9, muP -> .bin", "release.mdl", "mup.yaml", "gpt2", "cs-2.9", "hf"),
        (".safetensors -> .safetensors, no tensor changed", "unchanged.safetensors", "unchanged.yaml", "gptj", "cs-1.8", "hf",
         "--output-format", "safetensors"),
    ]:
        command = convert(binary, *way[:3], folder / source, folder / config, out, *way[3:])
        measure(name, command, [folder / source], out, runs)
    if model_zoo:
        environment = os.environ | {"PYTHONPATH": str(model_zoo)}
        script = model_zoo / "modelzoo/common/pytorch/model_utils/convert_checkpoint.py"
        command = [sys.executable, *convert(str(script), "gpt2", "hf", "cs-1.8", folder / "model.bin", folder / "config.json", out)]
        measure(".bin -> .mdl, the Model Zoo tool", command, [folder / "model.bin"], out, 1, environment)


def memory(binary, folder, out):
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
        wall, _, peak = run(convert(
            binary, "gpt2", "hf", "cs-1.8", folder / "sparse.safetensors", folder / "sparse.json", out, "--dtype", "bfloat16"))
        peaks.append(peak)
        print(f"| {size / 1e9:.1f} GB, sparse | {wall:.1f} s | {peak:.0f} MB |")
    shutil.rmtree(out, ignore_errors=True)
    if len(peaks) == 2:
        print(f"\nForty times the checkpoint takes {peaks[1] / peaks[0]:.2f} times the memory.")


def llama(binary, folder, out, runs, layers):
    source = folder / "llama"
    size = make_llama(source, layers)
    free = shutil.disk_usage(folder).free
    if free < 2.2 * size:
        print(f"\nLlama, {size / 1e9:.1f} GB, is not run: {free / 1e9:.0f} GB free, {2.2 * size / 1e9:.0f} GB needed.")
        return
    print(f"\nLlama, {size / 1e9:.1f} GB in float16\n\n{TABLE}")
    shards, there = sorted(source.glob("*.safetensors")), folder / "there"
    name = f"{len(shards)} .safetensors -> .mdl (HDF5), hf -> cs-2.9"
    measure(name, convert(binary, "llama", "hf", "cs-2.9", source, source / "config.json", out), shards, out, runs, cold=True)
    run(convert(binary, "llama", "hf", "cs-2.9", source, source / "config.json", there))
    (checkpoint,), (params,) = there.glob("*.mdl"), there.glob("*.yaml")
    name = f".mdl (HDF5) -> {len(shards)} .bin, cs-2.9 -> hf"
    measure(name, convert(binary, "llama", "cs-2.9", "hf", checkpoint, params, out), [checkpoint], out, runs, cold=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="files, memory, llama (default: all)")
    parser.add_argument("--binary", default=".build/release/zooport")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--model-zoo", type=Path)
    parser.add_argument("--layers", type=int, default=32, help="layers of the Llama")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        make_unchanged(arguments.make, arguments.binary)
        make_release(arguments.make, arguments.binary)
        return
    parts = arguments.parts or ["files", "memory", "llama"]
    for part in parts:
        if part not in ("files", "memory", "llama"):
            parser.error(f"{part} is none of files, memory and llama")
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        out = folder / "out"
        if "files" in parts:
            files(binary, folder, out, arguments.runs, arguments.model_zoo)
        if "memory" in parts:
            memory(binary, folder, out)
        if "llama" in parts:
            # A pair writes four times the checkpoint, so there are fewer.
            llama(binary, folder, out, (arguments.runs + 1) // 2, arguments.layers)


if __name__ == "__main__":
    main()
