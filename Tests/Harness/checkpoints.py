"""GPT-2 checkpoints of any size, drawn from a fixed seed: what the suites convert."""

import json
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


def job(config, checkpoint, **options):
    """The body of a submission; `config` and `checkpoint` are INPUTs. It runs even if an equal one has outputs."""
    body = {"model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": config, "checkpoint": checkpoint}
    return {**body, "options": options, "reuse": False}
