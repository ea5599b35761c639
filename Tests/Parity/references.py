"""The Hugging Face side: a folder loaded strictly into the class of transformers that its config names.

Where the class is remote code, what it computes is written out here after its public description.
"""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import torch
import transformers as hf
from torch.nn import functional as F

hf.logging.set_verbosity_error()


class NoReference(Exception):
    """transformers does not take the folder. The message is what it said."""


def config_of(folder):
    try:
        return json.loads((Path(folder) / "config.json").read_text())
    except OSError as error:
        raise NoReference(str(error)) from error


def _tensors_of(file):
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(str(file))
    return torch.load(file, map_location="cpu", weights_only=True)


def state_of(folder):
    """The tensors of a folder: one file, or the shards of an index, each of which must hold what the index says."""
    folder, tensors = Path(folder), {}
    indexes = list(folder.glob("*.index.json"))
    if indexes:
        places = json.loads(indexes[0].read_text())["weight_map"]
        for name in sorted(set(places.values())):
            part = _tensors_of(folder / name)
            if set(part) != {key for key, place in places.items() if place == name}:
                raise NoReference(f"{name} does not hold the keys that {indexes[0].name} says")
            tensors.update(part)
    else:
        for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
            tensors.update(_tensors_of(file))
    if not tensors:
        raise NoReference(f"{folder.name} holds no weights")
    return {key: value for key, value in tensors.items() if isinstance(value, torch.Tensor)}


def read(folder, kind=None, changes=None):
    """The reference for a folder, ready to compute. `changes` are config values to compute with instead."""
    folder = Path(folder)
    if (folder / "text_model").is_dir():
        return Llava(folder)
    if (folder / "q_encoder").is_dir():
        return Dragon(folder)
    config = config_of(folder)
    if "GPT2LMHeadCustomModel" in (config.get("architectures") or ()):
        return _santacoder(folder, config)
    if config.get("model_type") in ("btlm", "jais"):
        return Btlm(folder, config)
    return _load(folder, config, kind, changes)


def _load(folder, config, kind=None, changes=None, pooler=True):
    name = kind or next(iter(config.get("architectures") or ()), None)
    if name is None or not hasattr(hf, name):
        raise NoReference(f"`architectures` names no class of transformers {hf.__version__}: {name}")
    kind = getattr(hf, name)
    tensors = state_of(folder)
    if not pooler:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("pooler.")}
    try:
        # The tensors are given: transformers reads no .bin file with the torch that the Model Zoo needs.
        loaded, report = kind.from_pretrained(
            None, config=kind.config_class.from_pretrained(folder, **(changes or {})), state_dict=tensors,
            output_loading_info=True, attn_implementation="eager", torch_dtype=torch.float32,
            **({} if pooler else {"add_pooling_layer": False}))
    except Exception as error:  # a config or a file that the class does not take
        raise NoReference(f"{name}.from_pretrained: {type(error).__name__}: {error}") from error
    # The contact head of ESM is no part of the outputs compared; no converter carries it. A buffer is computed by the
    # class: if it is not, the outputs show it.
    buffers = dict(loaded.named_buffers())
    missing = [key for key in report["missing_keys"] if "contact_head" not in key and key not in buffers]
    problems = [f"{what} {sorted(map(str, keys))[:5]}" for what, keys in (
        ("missing", missing), ("unexpected", report["unexpected_keys"]), ("mismatched", report["mismatched_keys"])) if keys]
    if problems:
        raise NoReference(f"{name}: " + "; ".join(problems))
    return loaded.eval()


def _santacoder(folder, config):
    """SantaCoder's remote code computes what GPTBigCode does, with query apart from key and value."""
    names = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "layer_norm_epsilon")
    model = hf.GPTBigCodeForCausalLM(hf.GPTBigCodeConfig(
        **{name: config[name] for name in names if name in config}, attn_implementation="eager"))
    source, tensors = state_of(folder), {}
    for key, value in source.items():
        if key.endswith((".attn.bias", ".masked_bias")) or ".kv_attn." in key:
            continue
        if ".q_attn." in key:
            rest = source[key.replace("q_attn", "kv_attn")]
            key, value = key.replace("q_attn", "c_attn"), torch.cat([value, rest], dim=-1)
        tensors[key] = value.t() if value.dim() == 2 and ".h." in key else value
    report = model.load_state_dict(tensors, strict=False)
    parameters = dict(model.named_parameters())
    if report.unexpected_keys or any(key in parameters for key in report.missing_keys):
        raise NoReference(f"santacoder: {report}")
    model.tie_weights()
    return model.float().eval()


class Btlm(torch.nn.Module):
    """BTLM and Jais: GPT-2 with ALiBi over the stored slopes, SwiGLU (`c_fc` times silu of `c_fc2`) and muP scalars."""

    def __init__(self, folder, config):
        super().__init__()
        self.values = config
        self.tensors = {key: value.float() for key, value in state_of(folder).items()}
        self.config = SimpleNamespace(vocab_size=config["vocab_size"], n_positions=config["n_positions"])

    def _linear(self, inputs, name):
        return inputs @ self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def _norm(self, inputs, name):
        return F.layer_norm(inputs, inputs.shape[-1:], self.tensors[name + ".weight"], self.tensors[name + ".bias"],
                            self.values["layer_norm_epsilon"])

    def _feed_forward(self, inputs, block):
        up = self._linear(inputs, block + "mlp.c_fc")
        name = self.values["activation_function"]
        if name == "swiglu":
            up = up * F.silu(self._linear(inputs, block + "mlp.c_fc2"))
        else:
            up = F.gelu(up, approximate={"gelu": "none", "gelu_new": "tanh"}[name])
        return self._linear(up, block + "mlp.c_proj")

    def forward(self, input_ids, use_cache=False):
        values, tensors = self.values, self.tensors
        heads, length = values["n_head"], input_ids.shape[1]
        size = values["n_embd"] // heads
        hidden = tensors["transformer.wte.weight"][input_ids]
        positions = torch.arange(length)
        bias = torch.full((length, length), -math.inf).triu(1)[None]
        if values.get("position_embedding_type", "learned") == "alibi":
            distance = (positions[None] - positions[:, None]).abs()[None]
            bias = bias - distance * tensors["transformer.relative_pe.slopes"].view(heads, 1, 1)
        else:
            hidden = hidden + tensors["transformer.wpe.weight"][:length]
        hidden = hidden * values.get("mup_embeddings_scale", 1.0)
        scale = size ** (1.0 if values.get("mup_scale_qk_dot_by_d") else 0.5)
        for layer in range(values["n_layer"]):
            block = f"transformer.h.{layer}."
            packed = self._linear(self._norm(hidden, block + "ln_1"), block + "attn.c_attn")
            query, key, value = (part.view(*part.shape[:2], heads, size).transpose(1, 2) for part in packed.chunk(3, -1))
            weights = (query @ key.transpose(-1, -2) / scale + bias).softmax(-1)
            hidden = hidden + self._linear((weights @ value).transpose(1, 2).reshape(hidden.shape), block + "attn.c_proj")
            hidden = hidden + self._feed_forward(self._norm(hidden, block + "ln_2"), block)
        logits = self._norm(hidden, "transformer.ln_f") @ tensors["lm_head.weight"].t()
        return SimpleNamespace(logits=logits * values.get("mup_output_alpha", 1.0) * values.get("mup_width_scale", 1.0))


class Llava(torch.nn.Module):
    """LLaVA 1.5: a layer of the vision tower without its class token, two linear layers, the language model."""

    def __init__(self, folder):
        super().__init__()
        config = config_of(folder / "text_model")
        tensors = state_of(folder / "text_model")
        self.layer = config["mm_vision_select_layer"]
        # The class is given: CLIP's tower is written as a part of more than one.
        self.tower = _load(folder / "image_model", config_of(folder / "image_model"), "CLIPVisionModel")
        try:
            self.projector = [(tensors.pop(f"model.mm_projector.{n}.weight"), tensors.pop(f"model.mm_projector.{n}.bias"))
                              for n in (0, 2)]
            self.config = hf.LlamaConfig.from_dict({k: v for k, v in config.items() if k not in ("torch_dtype", "model_type")})
            self.config._attn_implementation = "eager"
            self.text = hf.LlamaForCausalLM(self.config)
            self.text.load_state_dict(tensors, strict=True)
        except (KeyError, RuntimeError) as error:
            raise NoReference(f"text_model: {error}") from error
        self.float().eval()

    def features(self, pixels):
        hidden = self.tower(pixel_values=pixels, output_hidden_states=True).hidden_states[self.layer][:, 1:]
        (first, first_bias), (second, second_bias) = self.projector
        return F.linear(F.gelu(F.linear(hidden, first, first_bias)), second, second_bias)


class Dragon(torch.nn.Module):
    """A question encoder and a context encoder; the vector of a text is that of its first token."""

    def __init__(self, folder):
        super().__init__()
        # Checkpoints of this model bring a pooler that nothing reads.
        self.question, self.context = (
            _load(folder / part, config_of(folder / part), "BertModel", pooler=False)
            for part in ("q_encoder", "ctx_encoder"))
        self.config = self.question.config
