"""Files that users of converters meet, made with the real libraries: each converts to the right values or names the way out."""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from transformers import (
    BertConfig, BertForPreTraining, GPT2Config, GPT2LMHeadModel, GPTJConfig, GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig,
    T5Config, T5ForConditionalGeneration)

BINARY = Path(os.environ.get("ZOOPORT_BINARY", ".build/release/zooport")).resolve()
HEAD = "lm_head.weight"


class Case:
    """A folder with a small GPT-2, and the binary that converts what a test makes of it."""

    def __init__(self, folder):
        self.folder = folder
        torch.manual_seed(0)
        self.model = GPT2LMHeadModel(GPT2Config(vocab_size=17, n_embd=8, n_head=2, n_layer=2, n_positions=8))
        self.model.config.architectures = ["GPT2LMHeadModel"]
        self.model.config.save_pretrained(folder)
        self.state = {key: tensor.clone() for key, tensor in self.model.state_dict().items()}

    def path(self, name):
        return self.folder / name

    def save(self, value, name="x.bin"):
        torch.save(value, self.path(name))
        return name

    def run(self, *arguments):
        process = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=120, cwd=self.folder)
        return process.returncode, process.stdout + process.stderr

    def convert(self, *checkpoint, model="gpt2", source="hf", target="cs-1.8", config="config.json", more=()):
        return self.run("convert", "--model", model, "--src-fmt", source, "--tgt-fmt", target, "--output-dir", "out",
                        *checkpoint, "--config", config, *more)

    def convert_config(self, name, *, source="hf"):
        return self.run("convert-config", "--model", "gpt2", "--src-fmt", source, "--tgt-fmt", "cs-1.8", "--output-dir", "out", name)

    def converted(self, *checkpoint, says=(), **options):
        """The state dict of the output. `says` are words that a warning must have."""
        status, said = self.convert(*checkpoint, **options)
        assert status == 0, said
        for word in says:
            assert word in said, f"nothing about {word}: {said}"
        output = [file for file in self.path("out").iterdir() if file.suffix == ".mdl"]
        assert len(output) == 1
        return torch.load(output[0], weights_only=True)["model"]

    def refused(self, answer, status, *words):
        """`words` are what the message must have. Nothing may be left behind."""
        code, said = answer
        assert code == status, f"status {code}: {said}"
        for word in words:
            assert word.lower() in said.lower(), f"nothing about {word}: {said}"
        assert not self.path("out").exists() or not list(self.path("out").iterdir())
        return said


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def same_model(case, output):
    """Every tensor of the small model is in the output, under whatever name, and the head is the head."""
    assert torch.equal(output[HEAD], case.state[HEAD])
    assert torch.equal(output["transformer_decoder.layers.1.norm1.weight"], case.state["transformer.h.1.ln_1.weight"])
    assert torch.equal(output["transformer_decoder.layers.1.ffn.ffn.0.linear_layer.weight"], case.state["transformer.h.1.mlp.c_fc.weight"].T)
    assert len(output) == 2 * 16 + 7


# Arguments that change values


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("view, word", [
    (lambda: torch.complex(torch.zeros(8), torch.arange(8.0)).conj().imag, "resolve_neg"),
    (lambda: torch._neg_view(torch.arange(8.0)), "resolve_neg"),
    (lambda: torch.complex(torch.ones(8), torch.arange(8.0)).conj(), "resolve_conj")])
def test_views_whose_bytes_are_not_their_values_are_refused_by_name(case, view, word, legacy):
    case.state["transformer.h.0.ln_1.bias"] = view()
    torch.save(case.state, case.path("x.bin"), _use_new_zipfile_serialization=not legacy)
    case.refused(case.convert("x.bin"), 5, "transformer.h.0.ln_1.bias", word)


def test_resolved_views_convert(case):
    case.state["transformer.h.0.ln_1.bias"] = torch._neg_view(torch.arange(8.0)).resolve_neg()
    output = case.converted(case.save(case.state))
    assert torch.equal(output["transformer_decoder.layers.0.norm1.bias"], -torch.arange(8.0))


def test_parameters_with_attributes_convert(case):
    parameters = {}
    for key, tensor in case.state.items():
        parameters[key] = torch.nn.Parameter(tensor)
        parameters[key].tensor_model_parallel = True
    same_model(case, case.converted(case.save(parameters)))


class Subclass(torch.Tensor):
    pass


def test_subclasses_of_tensor_are_refused_by_name(case):
    case.state["transformer.wpe.weight"] = case.state["transformer.wpe.weight"].as_subclass(Subclass)
    case.refused(case.convert(case.save(case.state)), 5, "transformer.wpe.weight", "Subclass")


# Wrappers around keys


@pytest.mark.parametrize("prefix", [
    "module.", "_orig_mod.", "model.", "_forward_module.", "base_model.model.", "pretrained_model.", "module.module.", "_orig_mod.module.",
    "model._orig_mod.", "_fsdp_wrapped_module.", "module._forward_module.model."])
def test_prefixes_of_trainers_are_taken_off(case, prefix):
    output = case.converted(case.save({prefix + key: tensor for key, tensor in case.state.items()}), says=[prefix.split(".")[-2]])
    same_model(case, output)


@pytest.mark.parametrize("segment", ["_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod"])
def test_segments_of_trainers_are_taken_off(case, segment):
    wrapped = {key.replace("transformer.h.1.", f"transformer.{segment}.h.1.{segment}."): tensor for key, tensor in case.state.items()}
    same_model(case, case.converted(case.save(wrapped), says=[segment]))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_prefixes_are_taken_off_between_releases(case, prefix):
    old = case.converted(case.save(case.state), target="cs-1.7")
    for file in case.path("out").iterdir():
        file.rename(case.path(file.name))
    case.save({"model": {prefix + key: tensor for key, tensor in old.items()}}, "wrapped.mdl")
    output = case.converted("wrapped.mdl", source="cs-1.7", config="config_to_cs-1.7.yaml", says=[prefix])
    assert set(output) == set(old)
    assert all(torch.equal(output[key], old[key]) for key in old)


def test_a_model_twice_is_refused(case):
    twice = {**case.state, **{"module." + key: tensor + 1 for key, tensor in case.state.items()}}
    case.refused(case.convert(case.save(twice)), 5, "module.transformer.wte.weight", "twice")


def test_what_is_no_wrapper_stays_and_is_named(case):
    strange = {"strange." + key: tensor for key, tensor in case.state.items()}
    case.refused(case.convert(case.save(strange)), 4, "strange.transformer.wte.weight", "begins with 'strange.'", "without it")


def test_unmerged_adapters_are_called_that(case):
    peft = {"base_model.model." + key.replace("c_attn.", "c_attn.base_layer."): tensor for key, tensor in case.state.items()}
    for layer in range(2):
        for part in "AB":
            peft[f"base_model.model.transformer.h.{layer}.attn.c_attn.lora_{part}.default.weight"] = torch.zeros(2, 8)
    said = case.refused(case.convert(case.save(peft)), 4, "LoRA", "merge_and_unload")
    assert "transformer.h.{0..1}.attn.c_attn.lora_A.default.weight (2 tensors)" in said
    assert said.index("merge_and_unload") < said.index("Key not matched")


def test_value_heads_are_called_that_and_can_be_left_out(case):
    trl = {"pretrained_model." + key: tensor for key, tensor in case.state.items()}
    trl |= {"v_head.summary.weight": torch.zeros(1, 8), "v_head.summary.bias": torch.zeros(1)}
    name = case.save(trl)
    case.refused(case.convert(name), 4, "value head", "--drop-unmatched-keys", "v_head.summary.weight")
    same_model(case, case.converted(name, more=["--drop-unmatched-keys"]))


def test_a_bare_encoder_is_called_that(tmp_path):
    case = Case(tmp_path)
    bert = BertForPreTraining(BertConfig(vocab_size=17, hidden_size=8, num_attention_heads=2, num_hidden_layers=1, intermediate_size=12,
                                         max_position_embeddings=8))
    bert.config.save_pretrained(tmp_path)
    case.save(bert.bert.state_dict())
    case.refused(case.convert("x.bin", model="bert"), 4, "'bert.'", "without its head", "BertForPreTraining")


def test_keys_of_a_neighbour_are_told(case):
    case.refused(case.convert(case.save(case.state), model="gpt2-headless"), 4, "--model gpt2")


@pytest.mark.parametrize("prefix", ["strange.", "a.b."])
def test_dropping_everything_does_not_succeed(case, prefix):
    strange = {prefix + key: tensor for key, tensor in case.state.items()}
    case.refused(case.convert(case.save(strange), more=["--drop-unmatched-keys"]), 4, "nothing of the model")


# Wrappers around dictionaries


@pytest.mark.parametrize("place", ["model", "state_dict", "model_state_dict", "state", "weights", "module", "mine", "model.inner", "state.model"])
def test_the_dictionary_with_the_keys_wins(case, place):
    value = case.state
    for name in reversed(place.split(".")):
        value = {name: value, "epoch": 4, "loss": torch.tensor(0.5), "rng_state": torch.zeros(16, dtype=torch.uint8)}
    same_model(case, case.converted(case.save(value), says=[f"'{place}'"]))


def test_a_pair_of_model_and_optimizer_converts(case):
    optimizer = torch.optim.AdamW(case.model.parameters()).state_dict()
    same_model(case, case.converted(case.save((case.state, optimizer))))


def test_wrapped_keys_in_a_wrapped_dictionary_convert(case):
    nano = {"model": {"_orig_mod." + key: tensor for key, tensor in case.state.items()}, "iter_num": 5, "best_val_loss": torch.tensor(3.2)}
    same_model(case, case.converted(case.save(nano), says=["_orig_mod", "'model'"]))


def test_the_usual_name_wins_over_an_average(case):
    average = {key: tensor + 1 for key, tensor in case.state.items()}
    same_model(case, case.converted(case.save({"model_ema": average, "model": case.state})))


def test_two_models_without_a_usual_name_are_refused(case):
    case.refused(case.convert(case.save({"student": case.state, "teacher": case.state})), 5, "student", "teacher")


def test_linear_matrices_under_the_names_of_gpt2_are_refused(case):
    linear = {key: tensor.T.contiguous() if tensor.ndim == 2 and ".h." in key else tensor for key, tensor in case.state.items()}
    status, said = case.convert(case.save({"model": {"_orig_mod." + key: tensor for key, tensor in linear.items()}}))
    assert status in (1, 3, 4, 5), said
    assert "c_attn.weight" in said


# Leftovers


@pytest.mark.parametrize("name, model, leftovers", [
    ("t5", lambda: T5ForConditionalGeneration(T5Config(vocab_size=17, d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2,
                                                       feed_forward_proj="relu")),
     ["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"]),
    ("gpt-neox", lambda: GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=17, hidden_size=16, num_attention_heads=2, num_hidden_layers=1,
                                                          intermediate_size=24, max_position_embeddings=8)),
     ["gpt_neox.layers.0.attention.bias", "gpt_neox.layers.0.attention.masked_bias", "gpt_neox.layers.0.attention.rotary_emb.inv_freq"]),
    ("bert", lambda: BertForPreTraining(BertConfig(vocab_size=17, hidden_size=8, num_attention_heads=2, num_hidden_layers=1,
                                                   intermediate_size=12, max_position_embeddings=8)),
     ["bert.embeddings.position_ids"])])
def test_leftovers_that_transformers_ignores_change_nothing(tmp_path, name, model, leftovers):
    case = Case(tmp_path)
    torch.manual_seed(0)
    model = model()
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(tmp_path)
    state = model.state_dict()
    plain = case.converted(case.save(state), model=name)
    for file in case.path("out").iterdir():
        file.unlink()
    left = {key: torch.ones(4, 4) for key in leftovers if key not in state}
    output = case.converted(case.save({**state, **left}), model=name)
    assert set(output) == set(plain)
    assert all(output[key] is plain[key] or torch.equal(output[key], plain[key]) for key in plain)


# Containers


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_metadata_of_safetensors_may_be_null(case, metadata):
    raw = save(case.state)
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.dumps({"__metadata__": metadata, **json.loads(raw[8:8 + length])}).encode()
    case.path("x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + raw[8 + length:])
    same_model(case, case.converted("x.safetensors"))


class FromDevice:
    """Pickles a tensor as one of a device that torch was not built for."""

    def __init__(self, function, data, dtype, device):
        self.call = function, (data, dtype, device, False)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("device, of_numpy", [("hpu:0", False), ("xla:0", True), ("mtia:0", True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_other_devices_are_plain_bytes(case, device, of_numpy, dtype):
    state = {key: tensor.to(dtype) for key, tensor in case.state.items()}
    saved = {}
    for key, tensor in state.items():
        if of_numpy:
            # numpy has no bfloat16: torch passes by float32.
            data = (tensor.float() if dtype == torch.bfloat16 else tensor).numpy()
            saved[key] = FromDevice(torch._utils._rebuild_device_tensor_from_numpy, data, dtype, device)
        else:
            saved[key] = FromDevice(torch._utils._rebuild_device_tensor_from_cpu_tensor, tensor, dtype, device)
    output = case.converted(case.save(saved))
    assert output[HEAD].dtype == dtype
    assert torch.equal(output[HEAD], state[HEAD])


def test_the_index_decides_between_shards(case):
    key = "transformer.ln_f.bias"
    save_file(case.state, case.path("base.safetensors"))
    save_file({key: case.state[key] + 1, HEAD: case.state[HEAD] + 1}, case.path("overlay.safetensors"))
    places = {**dict.fromkeys(case.state, "base.safetensors"), key: "overlay.safetensors"}
    case.path("model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    output = case.converted("model.safetensors.index.json", says=["overlay.safetensors", HEAD])
    assert torch.equal(output["transformer_decoder.norm.bias"], case.state[key] + 1)
    assert torch.equal(output[HEAD], case.state[HEAD])


@pytest.mark.parametrize("make, word", [
    (lambda tensor: tensor.to("meta"), "meta device"), (lambda tensor: tensor.to_sparse(), "sparse"),
    (lambda tensor: tensor.to_sparse_csr(), "sparse"),
    (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), "quantised"),
    (lambda tensor: torch.nested.nested_tensor([tensor, tensor]), "nested")])
@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_without_plain_bytes_are_named(case, make, word, legacy):
    case.state["transformer.wpe.weight"] = make(case.state["transformer.wpe.weight"])
    torch.save(case.state, case.path("x.bin"), _use_new_zipfile_serialization=not legacy)
    case.refused(case.convert("x.bin"), 5, "transformer.wpe.weight", word)


def test_distributed_tensors_are_named(case):
    class Sharded:
        def __reduce__(self):
            return torch._utils._rebuild_wrapper_subclass, (torch.Tensor, torch.float32, (8,), (1,), 0, torch.strided, "cpu", False)
    case.state["transformer.wpe.weight"] = Sharded()
    case.refused(case.convert(case.save(case.state)), 5, "transformer.wpe.weight", "DTensor", "full_tensor")


class Settings:
    def __init__(self):
        self.rate, self.nested = 1e-4, {"a": [1, 2]}


@pytest.mark.parametrize("value, word", [
    (argparse.Namespace(lr=1, inner=argparse.Namespace(b=2)), "argparse.Namespace at 'args'"),
    (types.SimpleNamespace(lr=1), "types.SimpleNamespace at 'args'"), (pathlib.PurePosixPath("/a/b"), "PosixPath at 'args'"),
    (Settings(), "Settings at 'args'"), (GPT2Config(), "GPT2Config at 'args'"), (Settings, None)])
@pytest.mark.parametrize("legacy", [False, True])
def test_objects_beside_the_weights_do_no_harm(case, value, word, legacy):
    torch.save({"model": case.state, "args": value}, case.path("x.bin"), _use_new_zipfile_serialization=not legacy)
    same_model(case, case.converted("x.bin", says=[word] if word else []))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("make", [lambda case: case.model, lambda case: Net(), lambda case: torch.nn.Linear(2, 2)])
@pytest.mark.parametrize("legacy", [False, True])
def test_whole_models_are_called_that(case, make, inside, legacy):
    model = make(case)
    torch.save({"model": model} if inside else model, case.path("x.bin"), _use_new_zipfile_serialization=not legacy)
    said = case.refused(case.convert("x.bin"), 5, "whole model", "model.state_dict()")
    assert "refuses the global" not in said


def test_what_would_run_code_stays_refused(case):
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)
    case.refused(case.convert(case.save({"model": case.state, "args": Evil()})), 5, "refuses the global", "system", "'args'")


def test_torchscript_is_called_that(case):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), case.path("x.pt"))
    case.refused(case.convert("x.pt"), 5, "TorchScript")


def test_exported_programs_are_called_that(case):
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), case.path("x.pt2"))
    case.refused(case.convert("x.pt2"), 5, "torch.export")


def test_distributed_checkpoints_are_called_that(case):
    import torch.distributed.checkpoint
    torch.distributed.checkpoint.save({"model": case.state}, checkpoint_id=case.path("dcp"))
    for name in ["dcp", "dcp/__0_0.distcp", "dcp/.metadata"]:
        case.refused(case.convert(name), 5, "torch.distributed.checkpoint", "dcp_to_torch")


def test_the_way_out_of_a_distributed_checkpoint_converts(case):
    import torch.distributed.checkpoint
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
    torch.distributed.checkpoint.save({"model": case.state}, checkpoint_id=case.path("dcp"))
    dcp_to_torch_save(case.path("dcp"), case.path("x.bin"))
    same_model(case, case.converted("x.bin"))


@pytest.mark.parametrize("content, word", [
    (b"GGUF" + bytes(60), "GGUF"), (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd"), (b"\x93NUMPY" + bytes(60), "numpy")])
def test_other_formats_are_called_by_name(case, content, word):
    case.path("x.bin").write_bytes(content)
    case.refused(case.convert("x.bin"), 5, word)


def test_a_tar_is_called_that(case):
    import tarfile
    with tarfile.open(case.path("x.tar"), "w") as archive:
        archive.add(case.path("config.json"), "config.json")
    case.refused(case.convert("x.tar"), 5, "tar archive", "unpack")


def test_folders_of_a_hub_cache_are_called_that(case):
    snapshot = case.path("hub/models--openai--gpt2/snapshots/abc123")
    snapshot.mkdir(parents=True)
    case.path("hub/models--openai--gpt2/refs").mkdir()
    case.path("hub/models--openai--gpt2/blobs").mkdir()
    torch.save(case.state, snapshot / "pytorch_model.bin")
    case.refused(case.convert("hub/models--openai--gpt2"), 5, "hub cache", "snapshots/abc123")
    case.refused(case.convert("hub"), 5, "hub cache", "models--openai--gpt2/snapshots")
    same_model(case, case.converted(str(snapshot)))


def test_a_dangling_link_is_called_that(case):
    case.path("x.bin").symlink_to("../../blobs/gone")
    case.refused(case.convert("x.bin"), 5, "link to ../../blobs/gone", "does not exist")


@pytest.mark.parametrize("names, word", [
    (["tf_model.h5", "config.json"], "from_tf"), (["flax_model.msgpack"], "from_flax"), (["model.gguf"], "GGUF"),
    (["adapter_model.safetensors", "adapter_config.json"], "merge_and_unload"), (["adapter_model.bin"], "merge_and_unload"),
    (["model.onnx"], "ONNX"), (["zero_to_fp32.py", "latest"], "zero_to_fp32.py")])
def test_folders_of_other_weights_are_called_that(case, names, word):
    case.path("folder").mkdir()
    for name in names:
        case.path(f"folder/{name}").write_bytes(b"x")
    case.refused(case.convert("folder"), 5, word)


def test_what_a_trainer_writes_beside_the_weights_is_no_checkpoint(case):
    case.path("folder").mkdir()
    case.save(case.state, "folder/weights.bin")
    for name in ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"]:
        case.path(f"folder/{name}").write_bytes(b"x")
    same_model(case, case.converted("folder"))


# Configs


@pytest.mark.parametrize("content, word", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 665\n", "git lfs pull"), (b"<!doctype html><html></html>", "web page"),
    (b"\n <html>", "web page"), (b"\x1f\x8b\x08" + bytes(20), "gzip"), (b"GGUF" + bytes(20), "GGUF")])
@pytest.mark.parametrize("name", ["c.json", "c.yaml"])
def test_configs_that_are_something_else_are_called_that(case, content, word, name):
    case.path(name).write_bytes(content)
    case.refused(case.convert_config(name, source="hf" if name.endswith("json") else "cs-1.7"), 5, name, word)


def test_a_checkpoint_as_config_is_called_that(case):
    case.save(case.state)
    save_file(case.state, case.path("x.safetensors"))
    for name in ["x.bin", "x.safetensors"]:
        case.refused(case.convert_config(name), 5, name, "is a checkpoint", "not a config")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_configs_in_other_encodings_are_read_as_python_reads_them(case, encoding):
    text = case.path("config.json").read_text()
    assert json.loads(text.encode(encoding)) == json.loads(text)
    case.path("u.json").write_bytes(text.encode(encoding))
    for name in ["config", "u"]:
        status, said = case.convert_config(f"{name}.json")
        assert status == 0, said
    plain, other = (case.path(f"out/{name}_to_cs-1.8.yaml").read_bytes() for name in ["config", "u"])
    assert plain == other


def test_yaml_in_utf_16_is_read(case):
    assert case.convert_config("config.json")[0] == 0
    text = case.path("out/config_to_cs-1.8.yaml").read_text()
    case.path("u.yaml").write_text(text, encoding="utf-16")
    status, said = case.run("convert-config", "--model", "gpt2", "--src-fmt", "cs-1.8", "--tgt-fmt", "hf", "--output-dir", "out", "u.yaml")
    assert status == 0, said
    assert json.loads(case.path("out/u_to_hf.json").read_text())["vocab_size"] == 17


def test_damaged_utf_16_is_called_that(case):
    case.path("u.json").write_bytes("{}".encode("utf-16") + b"\x00")
    case.refused(case.convert_config("u.json"), 5, "UTF-16")


def test_configs_of_other_models_are_refused(case):
    case.path("gptj.json").write_text(GPTJConfig().to_json_string())
    case.refused(case.convert_config("gptj.json"), 3, "gptj", "--model gptj")
    case.path("llama.json").write_text(LlamaConfig().to_json_string())
    case.refused(case.convert_config("llama.json"), 3, "llama", "gpt2")


# Messages


def test_ignored_keys_are_named_in_groups(case):
    for layer in range(2):
        case.state[f"transformer.h.{layer}.attn.gate.weight"] = torch.zeros(2)
    status, said = case.convert(case.save(case.state), more=["--drop-unmatched-keys"])
    assert status == 0, said
    lines = [line for line in said.splitlines() if line.startswith("WARNING: ")]
    assert "WARNING: Key not matched: transformer.h.{0..1}.attn.gate.weight (2 tensors)" in lines
    (bookkeeping,) = [line for line in lines if "'use_cache'" in line]
    assert "the model does not depend on it" in bookkeeping and "'bos_token_id'" in bookkeeping
