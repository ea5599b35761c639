"""Loads checkpoints with the real libraries and prints what they see, as JSON: path -> key -> [dtype, shape, hex bytes].

Usage: load_archives.py FILE...   (.safetensors is read with safetensors, everything else with torch)
Values that are no tensors are printed by their repr. Tensors of one storage are listed under "shared".
"""

import json
import sys

import torch


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}" if path else str(index))
    else:
        yield path, value


def describe(value):
    if not isinstance(value, torch.Tensor):
        return repr(value)
    raw = torch.empty(0, dtype=torch.uint8)
    if value.numel():
        raw = value.detach().contiguous().reshape(-1).view(torch.uint8)
    return [str(value.dtype).removeprefix("torch."), list(value.shape), bytes(raw.tolist()).hex()]


def load(path):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file, save

        tensors = load_file(path)
        with open(path, "rb") as file:
            assert file.read() == save(tensors, {"format": "pt"}), "the library writes other bytes"
        return tensors
    mapped = torch.load(path, weights_only=True, mmap=True)
    loaded = torch.load(path, weights_only=True)
    assert [describe(v) for _, v in leaves(mapped)] == [describe(v) for _, v in leaves(loaded)], "mmap reads other values"
    return loaded


result = {}
for name in sys.argv[1:]:
    tree = load(name)
    entries = {path: describe(value) for path, value in leaves(tree)}
    storages = {}
    for path, value in leaves(tree):
        if isinstance(value, torch.Tensor) and value.numel() and not name.endswith(".safetensors"):
            storages.setdefault(value.untyped_storage().data_ptr(), []).append(path)
    entries["shared"] = sorted(paths for paths in storages.values() if len(paths) > 1)
    result[name] = entries
json.dump(result, sys.stdout)
