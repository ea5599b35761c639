"""Round trips of transformers' decoders through cs-2.9: what comes back must load strictly and compute the same logits."""

import pytest
import torch
from transformers import (
    AutoModel, Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM, LlamaModel, MistralConfig, MistralForCausalLM,
    MistralModel, MixtralConfig, MixtralForCausalLM, MixtralModel)

SIZES = dict(vocab_size=97, hidden_size=32, num_attention_heads=4, num_hidden_layers=3, intermediate_size=44,
             max_position_embeddings=24, pad_token_id=0, bos_token_id=1, eos_token_id=2)
GROUPED = dict(SIZES, num_key_value_heads=2)
EXPERTS = dict(GROUPED, num_local_experts=5, num_experts_per_tok=2)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8)
LONGROPE = dict(rope_type="longrope", factor=4.0, short_factor=[1.0, 1.5, 2.0, 3.0], long_factor=[2.0, 3.0, 4.0, 5.0])

CASES = {
    "llama": ("llama", LlamaForCausalLM, LlamaConfig(**SIZES)),
    "llama-grouped-tied": ("llama", LlamaForCausalLM, LlamaConfig(**GROUPED, tie_word_embeddings=True)),
    "llama-head-size-biases": ("llama", LlamaForCausalLM,
                               LlamaConfig(**GROUPED, head_dim=12, attention_bias=True, mlp_bias=True)),
    "llama-llama3": ("llama", LlamaForCausalLM, LlamaConfig(**GROUPED, rope_scaling=LLAMA3)),
    "llama-longrope": ("llama", LlamaForCausalLM,
                       LlamaConfig(**GROUPED, rope_scaling=LONGROPE, original_max_position_embeddings=8)),
    "llama-yarn": ("llama", LlamaForCausalLM, LlamaConfig(**GROUPED, rope_scaling=dict(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=6, beta_fast=16.0, attention_factor=1.25))),
    "wizardlm-headless": ("wizardlm-headless", LlamaModel, LlamaConfig(**GROUPED)),
    "mistral": ("mistral", MistralForCausalLM, MistralConfig(**GROUPED, sliding_window=7)),
    "mistral-ungrouped": ("mistral", MistralForCausalLM, MistralConfig(**SIZES, num_key_value_heads=4, sliding_window=None)),
    "mistral-headless": ("mistral-headless", MistralModel, MistralConfig(**GROUPED, head_dim=12, sliding_window=7)),
    "mixtral": ("mixtral", MixtralForCausalLM, MixtralConfig(**EXPERTS)),
    "mixtral-headless": ("mixtral-headless", MixtralModel, MixtralConfig(**EXPERTS)),
    "gemma2": ("gemma2", Gemma2ForCausalLM, Gemma2Config(
        **GROUPED, head_dim=12, query_pre_attn_scalar=10, sliding_window=7, hidden_activation="gelu")),
}


def outputs(model):
    torch.manual_seed(1)
    tokens = torch.randint(3, model.config.vocab_size, (2, 11))
    with torch.no_grad():
        result = model.eval()(tokens, use_cache=False)
    return {name: value for name, value in result.items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("case", CASES)
def test_round_trip_keeps_every_logit(zooport, tmp_path, case):
    name, cls, config = CASES[case]
    torch.manual_seed(0)
    model = cls(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    source, there, back = (tmp_path / part for part in ("source", "there", "back"))
    source.mkdir()
    model.config.architectures = [cls.__name__]
    model.config.save_pretrained(source)
    torch.save(model.state_dict(), source / "pytorch_model.bin")
    zooport("convert", "--model", name, "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", there,
            source / "pytorch_model.bin", "--config", source / "config.json")
    zooport("convert", "--model", name, "--src-fmt", "cs-2.9", "--tgt-fmt", "hf", "--output-dir", back,
            there / "pytorch_model_to_cs-2.9.mdl", "--config", there / "config_to_cs-2.9.yaml")
    (folder,) = back.iterdir()
    loaded, report = cls.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    # Gemma's norms are shifted by one and come back within a rounding.
    tolerance = 1e-5 if cls is Gemma2ForCausalLM else 0.0
    before, after = outputs(model), outputs(loaded)
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert (value - after[key]).abs().max() <= tolerance, key
    assert type(AutoModel.from_pretrained(folder)).__name__.startswith(cls.__name__[:4])
