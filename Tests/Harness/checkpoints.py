"""GPT-2 checkpoints of any size, drawn from a fixed seed: what the suites convert."""

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shape:
    name: str
    width: int
    layers: int
    vocabulary: int


#: A few kilobytes.
TINY = Shape("tiny", 8, 2, 64)
#: 60 MB: each phase of its conversion lasts long enough to be hit.
MIDDLE = Shape("middle", 512, 4, 5000)
#: 12,000 tensors: most of the time goes into planning.
DEEP = Shape("deep", 4, 1000, 64)


@dataclass(frozen=True)
class Checkpoint:
    config: Path
    weights: Path


def make(folder, shape):
    """Writes `<name>/config.json` and `<name>/pytorch_model.bin` as Hugging Face has them, unless they are there."""
    import torch

    folder = Path(folder) / shape.name
    checkpoint = Checkpoint(folder / "config.json", folder / "pytorch_model.bin")
    if checkpoint.weights.exists():
        return checkpoint
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    d, positions = shape.width, 32
    state = {
        "transformer.wte.weight": torch.randn(shape.vocabulary, d), "transformer.wpe.weight": torch.randn(positions, d)}
    for layer in range(shape.layers):
        for name, size in {"ln_1": (d,), "attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d), "ln_2": (d,),
                           "mlp.c_fc": (d, 4 * d), "mlp.c_proj": (4 * d, d)}.items():
            state[f"transformer.h.{layer}.{name}.weight"] = torch.randn(*size)
            state[f"transformer.h.{layer}.{name}.bias"] = torch.randn(size[-1])
    state["transformer.ln_f.weight"], state["transformer.ln_f.bias"] = torch.randn(d), torch.randn(d)
    state["lm_head.weight"] = state["transformer.wte.weight"]
    torch.save(state, checkpoint.weights)
    checkpoint.config.write_text(json.dumps({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": shape.vocabulary, "n_embd": d,
        "n_head": 2, "n_layer": shape.layers, "n_positions": positions, "n_inner": None,
        "activation_function": "gelu_new", "attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02}))
    return checkpoint


def make_names(folder, tensors):
    """Writes a GPT-2 of about so many tensors of a few zeros each, as safetensors: names and hardly anything else."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    d, layers = 2, tensors // 12
    shapes = {"transformer.wte.weight": (4, d), "transformer.wpe.weight": (4, d)}
    for layer in range(layers):
        for name, size in {"ln_1": (d,), "attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d), "ln_2": (d,),
                           "mlp.c_fc": (d, 4 * d), "mlp.c_proj": (4 * d, d)}.items():
            shapes[f"transformer.h.{layer}.{name}.weight"] = size
            shapes[f"transformer.h.{layer}.{name}.bias"] = size[-1:]
    shapes |= {"transformer.ln_f.weight": (d,), "transformer.ln_f.bias": (d,), "lm_head.weight": (4, d)}
    header, end = {}, 0
    for key, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    checkpoint = Checkpoint(folder / "config.json", folder / "model.safetensors")
    with checkpoint.weights.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    checkpoint.config.write_text(json.dumps({
        "model_type": "gpt2", "vocab_size": 4, "n_embd": d, "n_head": 2, "n_layer": layers, "n_positions": 4,
        "activation_function": "gelu_new", "attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1}))
    return checkpoint


def job(config, checkpoint, **options):
    """The body of a submission; `config` and `checkpoint` are INPUTs. It runs even if an equal one has outputs."""
    body = {"model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": config, "checkpoint": checkpoint}
    return {**body, "options": options, "reuse": False}
