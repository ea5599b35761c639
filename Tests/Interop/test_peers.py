"""Other programs open what Zooport writes: torch, safetensors, Info-ZIP's unzip and HDF5's own tools."""

import json
import shutil
import subprocess

import pytest
import torch
from safetensors import safe_open
from transformers import GPT2Config, GPT2LMHeadModel

CONFIG = GPT2Config(vocab_size=97, n_embd=32, n_head=4, n_layer=3, n_positions=24, torch_dtype="float32")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    torch.manual_seed(1)
    model = GPT2LMHeadModel(CONFIG)
    model.config.to_json_file(folder / "config.json")
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def convert(zooport, source, folder, target, *options, checkpoint="pytorch_model.bin", config="config.json", src="hf"):
    zooport("convert", "--model", "gpt2", "--src-fmt", src, "--tgt-fmt", target, "--output-dir", folder, *options,
            source / checkpoint, "--config", source / config)


def tool(*command):
    if shutil.which(command[0]) is None:
        pytest.fail(f"{command[0]} is missing; scripts/setup.sh test installs it")
    process = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stdout + process.stderr
    assert not process.stderr, process.stderr
    return process.stdout


def test_unzip_finds_no_fault(zooport, source, tmp_path):
    convert(zooport, source, tmp_path, "cs-1.8")
    text = tool("unzip", "-t", tmp_path / "pytorch_model_to_cs-1.8.mdl")
    assert "No errors detected" in text
    names = [entry.split() for entry in tool("unzip", "-l", tmp_path / "pytorch_model_to_cs-1.8.mdl").splitlines()]
    assert any(entry and entry[-1].endswith("/data.pkl") for entry in names)


def test_h5dump_reads_all_headers_and_data(zooport, source, tmp_path):
    convert(zooport, source, tmp_path, "cs-1.8", "--output-format", "hdf5")
    path = tmp_path / "pytorch_model_to_cs-1.8.mdl"
    text = tool("h5dump", "-H", path)
    state = torch.load(source / "pytorch_model.bin")
    assert text.count("DATASET") >= len(state)
    assert "H5T_IEEE_F32LE" in text
    # All data as well, not the headers alone.
    assert len(tool("h5dump", path)) > sum(tensor.numel() for tensor in state.values())


@pytest.mark.parametrize("container", ["bin", "safetensors"])
def test_shards_load_alone_and_together(zooport, source, tmp_path, container):
    convert(zooport, source, tmp_path / "cs", "cs-1.8")
    convert(zooport, tmp_path / "cs", tmp_path, "hf", "--max-shard-size", "40KB", "--output-format", container,
            checkpoint="pytorch_model_to_cs-1.8.mdl", config="config_to_cs-1.8.yaml", src="cs-1.8")
    folder = next(path for path in tmp_path.iterdir() if path.name.endswith("_to_hf"))
    index = json.loads(next(folder.glob("*.index.json")).read_text())
    original = torch.load(source / "pytorch_model.bin")
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 2
    for shard in shards:
        if container == "safetensors":
            with safe_open(folder / shard, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}
        else:
            tensors = torch.load(folder / shard, weights_only=True)
        assert set(tensors) == {key for key, place in index["weight_map"].items() if place == shard}
        for key, tensor in tensors.items():
            if key in original:
                assert torch.equal(tensor, original[key]), key
    model = GPT2LMHeadModel.from_pretrained(folder)
    assert torch.equal(model.transformer.h[2].mlp.c_fc.weight, original["transformer.h.2.mlp.c_fc.weight"])


def test_a_file_size_limit_leaves_nothing(source, tmp_path):
    """What the kernel refuses in the middle of writing is an error, and no output file is left."""
    import os

    binary = os.environ.get("ZOOPORT_BINARY", ".build/release/zooport")
    for container in ("torch", "hdf5"):
        command = (f"trap '' XFSZ; ulimit -f 32; exec {binary} convert --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 "
                   f"--output-format {container} --output-dir {tmp_path}/out {source}/pytorch_model.bin --config {source}/config.json")
        process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        assert process.returncode == 1, process.stderr
        assert "would be larger than a file may be here; raise the limit" in process.stderr
        assert not list((tmp_path / "out").iterdir())
