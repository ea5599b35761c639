"""Round trips of real transformers models: what comes back must load and compute the same logits, bit for bit."""

import shutil

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    AutoModel, BertConfig, BertForPreTraining, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, CodeGenConfig, CodeGenForCausalLM, CodeGenModel, GPT2Config, GPT2LMHeadModel, GPT2Model,
    GPTJConfig, GPTJForCausalLM, GPTJModel, GPTNeoXConfig, GPTNeoXForCausalLM, GPTNeoXModel, T5Config,
    T5ForConditionalGeneration)


def gpt2(**changes):
    return GPT2Config(vocab_size=97, n_embd=32, n_head=4, n_layer=3, n_positions=24, **changes)


def gptj(**changes):
    return GPTJConfig(vocab_size=97, n_embd=32, n_head=4, n_layer=2, n_positions=24, rotary_dim=4, **changes)


def codegen():
    return CodeGenConfig(vocab_size=97, n_embd=32, n_head=4, n_layer=2, n_positions=24, n_ctx=24, rotary_dim=4)


def neox():
    return GPTNeoXConfig(vocab_size=97, hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=48,
                         max_position_embeddings=24, rotary_pct=0.5, use_parallel_residual=True)


def bert(**changes):
    return BertConfig(vocab_size=97, hidden_size=24, num_attention_heads=4, num_hidden_layers=2, intermediate_size=40,
                      max_position_embeddings=24, **changes)


def t5():
    return T5Config(vocab_size=97, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_decoder_layers=2, num_heads=4,
                    feed_forward_proj="relu", decoder_start_token_id=0)


BOTH = ["cs-1.7", "cs-1.8"]
# name in the catalogue, class, config, releases of the Model Zoo
MODELS = [
    ("gpt2", GPT2LMHeadModel, gpt2(), BOTH),
    ("gpt2", GPT2LMHeadModel, gpt2(tie_word_embeddings=False, n_inner=48), ["cs-1.8"]),
    ("gpt2-headless", GPT2Model, gpt2(), BOTH),
    ("gptj", GPTJForCausalLM, gptj(), BOTH),
    ("gptj-headless", GPTJModel, gptj(), BOTH),
    ("codegen", CodeGenForCausalLM, codegen(), BOTH),
    ("codegen-headless", CodeGenModel, codegen(), BOTH),
    ("gpt-neox", GPTNeoXForCausalLM, neox(), BOTH),
    ("gpt-neox-headless", GPTNeoXModel, neox(), BOTH),
    ("bert", BertForPreTraining, bert(), BOTH),
    ("bert-sequence-classifier", BertForSequenceClassification, bert(num_labels=3, problem_type="single_label_classification"), BOTH),
    ("bert-token-classifier", BertForTokenClassification, bert(num_labels=3), BOTH),
    ("bert-q&a", BertForQuestionAnswering, bert(), BOTH),
    ("t5", T5ForConditionalGeneration, t5(), BOTH),
]
CASES = [(name, cls, config, release) for name, cls, config, releases in MODELS for release in releases]


def outputs(model):
    """Every tensor that the model computes from fixed tokens, caches aside."""
    torch.manual_seed(1)
    tokens = torch.randint(1, model.config.vocab_size, (2, 11))
    arguments = {"decoder_input_ids": tokens} if isinstance(model, T5ForConditionalGeneration) else {}
    with torch.no_grad():
        result = model.eval()(tokens, use_cache=False, **arguments) if not hasattr(model, "bert") else model.eval()(tokens)
    return {name: value for name, value in result.items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("name,cls,config,release", CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_round_trip_keeps_every_logit(zooport, tmp_path, name, cls, config, release):
    torch.manual_seed(0)
    model = cls(config)
    source = tmp_path / "source"
    source.mkdir()
    model.config.architectures = [cls.__name__]
    model.config.save_pretrained(source)
    torch.save(model.state_dict(), source / "pytorch_model.bin")

    there, back = tmp_path / "there", tmp_path / "back"
    zooport("convert", "--model", name, "--src-fmt", "hf", "--tgt-fmt", release, "--output-dir", there,
            source / "pytorch_model.bin", "--config", source / "config.json")
    checkpoint = torch.load(there / f"pytorch_model_to_{release}.mdl", weights_only=True)
    assert set(checkpoint) == {"model"}
    assert all(t.is_contiguous() for t in checkpoint["model"].values())
    zooport("convert", "--model", name, "--src-fmt", release, "--tgt-fmt", "hf", "--output-dir", back,
            there / f"pytorch_model_to_{release}.mdl", "--config", there / f"config_to_{release}.yaml")

    folder = tmp_path / "hf"
    folder.mkdir()
    shutil.copy(back / f"pytorch_model_to_{release}_to_hf.bin", folder / "pytorch_model.bin")
    shutil.copy(back / f"config_to_{release}_to_hf.json", folder / "config.json")
    returned = torch.load(folder / "pytorch_model.bin", weights_only=True)
    for key, tensor in model.state_dict().items():
        assert returned[key].dtype == tensor.dtype
        assert torch.equal(returned[key], tensor), key
    loaded, report = cls.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"]
    before, after = outputs(model), outputs(loaded)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert type(AutoModel.from_pretrained(folder)).__name__.startswith(cls.__name__[:2])


def test_safetensors_and_bin_sources_give_equal_checkpoints(zooport, tmp_path):
    torch.manual_seed(0)
    model = GPT2Model(gpt2())
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "weights.bin")
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "weights.safetensors")
    results = []
    for kind in ("bin", "safetensors"):
        out = tmp_path / kind
        zooport("convert", "--model", "gpt2-headless", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", out,
                tmp_path / f"weights.{kind}", "--config", tmp_path / "config.json")
        results.append(torch.load(out / "weights_to_cs-1.8.mdl", weights_only=True)["model"])
    assert results[0].keys() == results[1].keys()
    assert all(torch.equal(results[0][key], results[1][key]) for key in results[0])
