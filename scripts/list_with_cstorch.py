"""Loads a checkpoint with cstorch.load and prints what it holds as JSON, one entry for each leaf."""

import hashlib
import json
import sys
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402

import cerebras.pytorch as cstorch  # noqa: E402


def leaves(value, path):
    """Yields the leaves below a value with their paths."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, path + [str(key)])
    elif isinstance(value, (list, tuple, set)):
        for index, child in enumerate(value):
            yield from leaves(child, path + [str(index)])
    else:
        yield ".".join(path), value


def describe(value, seen, key):
    """Says of a tensor what a listing says; of anything else its type and repr."""
    if not isinstance(value, torch.Tensor):
        return {"python": type(value).__name__, "repr": repr(value)}
    first = seen.setdefault(id(value), key)
    tensor = value._materialize() if hasattr(value, "_materialize") else value
    bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    data = bits.contiguous().numpy().tobytes()
    entry = {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return entry if first == key else {**entry, "same_as": first}


def main():
    state = cstorch.load(sys.argv[1])
    seen = {}
    print(json.dumps({key: describe(value, seen, key) for key, value in leaves(state, [])}))


main()
