"""Small random Hugging Face models, one for each option of a model that changes what it computes.

Weights are scaled so that every part shows in the outputs: softmax is not saturated, norms are away from 1, biases from
0, layers are odd in number, sequences are longer than the windows, and no two dimensions of a model are equal by chance.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers as hf

HIDDEN, HEADS, GROUPS, LAYERS, INNER, WORDS, POSITIONS = 32, 4, 2, 3, 44, 61, 40
GPT = dict(n_embd=HIDDEN, n_head=HEADS, n_layer=LAYERS, n_inner=INNER, vocab_size=WORDS, n_positions=POSITIONS, bos_token_id=1,
           eos_token_id=2)
CODEGEN = dict(GPT, n_embd=64, n_head=8, n_inner=72, n_ctx=POSITIONS, rotary_dim=4)
ENCODER = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=INNER, vocab_size=WORDS,
               max_position_embeddings=POSITIONS)
DECODER = dict(ENCODER, bos_token_id=1, eos_token_id=2, pad_token_id=0)
GROUPED = dict(DECODER, num_key_value_heads=GROUPS)
NEOX = dict(DECODER, rotary_pct=0.5)
WINDOW = dict(GROUPED, sliding_window=7)
EXPERTS = dict(GROUPED, num_local_experts=5, num_experts_per_tok=2, sliding_window=None)
GEMMA2 = dict(WINDOW, head_dim=12, query_pre_attn_scalar=10)
FALCON7 = dict(DECODER, multi_query=True, parallel_attn=True)
BLOOM = dict(hidden_size=HIDDEN, n_head=HEADS, n_layer=LAYERS, vocab_size=WORDS)
STARCODER = dict(GPT, activation_function="gelu_pytorch_tanh")
T5 = dict(d_model=HIDDEN, num_heads=HEADS, num_layers=LAYERS, num_decoder_layers=2, d_ff=INNER, d_kv=HIDDEN // HEADS, vocab_size=WORDS,
          relative_attention_num_buckets=8, decoder_start_token_id=0)
GATED_T5 = dict(T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
ESM = dict(ENCODER, pad_token_id=1, mask_token_id=3, token_dropout=True, emb_layer_norm_before=False, hidden_dropout_prob=0.0,
           attention_probs_dropout_prob=0.0)
VISION = dict(hidden_size=24, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=36, image_size=12, patch_size=4)
BTLM = dict(position_embedding_type="alibi", activation_function="swiglu", mup_width_scale=0.25, mup_embeddings_scale=3.5,
            mup_output_alpha=2.25, mup_scale_qk_dot_by_d=True)
LLAVA = dict(model_type="llava", architectures=["LlavaLlamaForCausalLM"], mm_hidden_size=24, mm_projector_type="mlp2x_gelu",
             mm_vision_select_layer=-2, mm_vision_select_feature="patch", mm_use_im_start_end=False,
             mm_use_im_patch_token=False, tune_mm_mlp_adapter=False)


@dataclass
class Variant:
    """One small model. `kind` is its class in transformers or a function that writes its folder; `model` is the
    converter's name. `exact` are config values under which transformers computes the exact GELU, which is all that the
    Model Zoo's GeGLU knows. `rounding` is the difference allowed after the way back; 0 is bit for bit."""

    model: str
    name: str
    kind: object
    config: dict = field(default_factory=dict)
    exact: dict = field(default_factory=dict)
    format_suffix: str = ""
    rounding: float = 0.0
    # Values of the params file, by path in its model section, that are set before the way back. The class computes with them,
    # and what comes back is compared with it.
    params: dict = field(default_factory=dict)

    def write(self, folder):
        """Writes the Hugging Face folder, or a folder for each component."""
        folder = Path(folder)
        if isinstance(self.kind, type):
            _save(_filled(self.kind, self.config, seed=1), folder)
        else:
            self.kind(folder, **self.config)


def _filled(kind, config, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = kind(kind.config_class(**config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() < 2:
                parameter.add_(0.2 * noise)
            elif "embed" in name or name.endswith(("wte.weight", "wpe.weight", "shared.weight")):
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(noise * (1.5 / math.sqrt(parameter[0].numel())))
    model.tie_weights()
    return model.eval()


def _save(model, folder, changes=None, tensors=None):
    config = json.loads(model.config.to_json_string(use_diff=False))
    config["architectures"] = [type(model).__name__]
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    _put(folder, {**config, **(changes or {})}, {**state, **(tensors or {})})


def _put(folder, config, tensors):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    torch.save(tensors, folder / "pytorch_model.bin")


class _Tensors(dict):
    """Random tensors under GPT-2's names, for classes that transformers has as remote code only."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def noise(self, *shape, scale=1.0):
        return torch.randn(*shape, generator=self.generator) * scale

    def linear(self, name, rows, columns):
        self[name + ".weight"] = self.noise(rows, columns, scale=1.5 / math.sqrt(rows))
        self[name + ".bias"] = self.noise(columns, scale=0.2)

    def norm(self, name):
        self[name + ".weight"] = 1 + self.noise(HIDDEN, scale=0.2)
        self[name + ".bias"] = self.noise(HIDDEN, scale=0.2)


def santacoder(folder):
    """SantaCoder's own code: the query of multi-query attention apart from key and value."""
    return _remote(folder, "gpt2", "GPT2LMHeadCustomModel", attention_head_type="multiquery", activation_function="gelu_fast")


def btlm(folder, **config):
    return _remote(folder, "btlm", "BTLMLMHeadModel", **{**BTLM, **config})


def jais(folder, **config):
    return _remote(folder, "jais", "JAISLMHeadModel", **{**BTLM, **config})


def _remote(folder, model_type, architecture, tie_word_embeddings=True, **changes):
    config = dict(GPT, model_type=model_type, architectures=[architecture], attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
                  layer_norm_epsilon=1e-5, initializer_range=0.02, scale_attn_weights=True, use_cache=True,
                  scale_attn_by_inverse_layer_idx=False, reorder_and_upcast_attn=False,
                  tie_word_embeddings=tie_word_embeddings, **changes)
    tensors = _Tensors(seed=6)
    tensors["transformer.wte.weight"] = tensors.noise(WORDS, HIDDEN, scale=0.5)
    if config.get("position_embedding_type", "learned") == "learned":
        tensors["transformer.wpe.weight"] = tensors.noise(POSITIONS, HIDDEN, scale=0.5)
    else:
        tensors["transformer.relative_pe.slopes"] = torch.rand(HEADS, 1, generator=tensors.generator)
    for layer in range(LAYERS):
        block = f"transformer.h.{layer}."
        tensors.norm(block + "ln_1")
        tensors.norm(block + "ln_2")
        if config.get("attention_head_type") == "multiquery":
            tensors.linear(block + "attn.q_attn", HIDDEN, HIDDEN)
            tensors.linear(block + "attn.kv_attn", HIDDEN, 2 * HIDDEN // HEADS)
        else:
            tensors.linear(block + "attn.c_attn", HIDDEN, 3 * HIDDEN)
        tensors.linear(block + "attn.c_proj", HIDDEN, HIDDEN)
        tensors.linear(block + "mlp.c_fc", HIDDEN, INNER)
        if config["activation_function"] == "swiglu":
            tensors.linear(block + "mlp.c_fc2", HIDDEN, INNER)
        tensors.linear(block + "mlp.c_proj", INNER, HIDDEN)
    tensors.norm("transformer.ln_f")
    tensors["lm_head.weight"] = (tensors["transformer.wte.weight"].clone() if tie_word_embeddings
                                 else tensors.noise(WORDS, HIDDEN, scale=0.3))
    _put(folder, config, dict(tensors))


def llava(folder):
    """LLaVA 1.5 as the vendor's converters take it: a vision tower and a language model that holds the projector."""
    _save(_filled(hf.CLIPVisionModel, VISION, seed=3), folder / "image_model")
    tensors = _Tensors(seed=5)
    projector = {}
    for layer, width in ((0, VISION["hidden_size"]), (2, HIDDEN)):
        projector[f"model.mm_projector.{layer}.weight"] = tensors.noise(HIDDEN, width, scale=1 / math.sqrt(width))
        projector[f"model.mm_projector.{layer}.bias"] = tensors.noise(HIDDEN, scale=0.2)
    _save(_filled(hf.LlamaForCausalLM, GROUPED, seed=4), folder / "text_model", LLAVA, projector)


def dragon(folder):
    """Two BERT encoders with different weights."""
    for seed, part in enumerate(("q_encoder", "ctx_encoder")):
        _save(_filled(hf.BertModel, ENCODER, seed=8 + seed), folder / part)


def _rope(**values):
    return dict(GROUPED, rope_scaling=values)


MUP = {"mup_base_hidden_size": 16, "mup_base_filter_size": 11, "embeddings_scale": 1.7, "attention_logits_alpha": 2.3,
       "output_logits_alpha": 0.7, "scale_qk_dot_by_d": True}
EXACT_HIDDEN = {"hidden_activation": "gelu"}
EXACT_DENSE = {"dense_act_fn": "gelu"}
LLAMA = hf.LlamaForCausalLM
BIGCODE = hf.GPTBigCodeForCausalLM
T5CLASS = hf.T5ForConditionalGeneration
CLASSIFIER = dict(ENCODER, num_labels=5)

VARIANTS = [
    Variant("gpt2", "plain", hf.GPT2LMHeadModel, GPT),
    Variant("gpt2", "untied-unscaled", hf.GPT2LMHeadModel, dict(GPT, tie_word_embeddings=False, scale_attn_weights=False)),
    Variant("gpt2-headless", "plain", hf.GPT2Model, GPT),
    Variant("gptj", "plain", hf.GPTJForCausalLM, dict(GPT, rotary_dim=4)),
    Variant("gptj-headless", "plain", hf.GPTJModel, dict(GPT, rotary_dim=4)),
    Variant("codegen", "plain", hf.CodeGenForCausalLM, CODEGEN),
    Variant("codegen-headless", "plain", hf.CodeGenModel, CODEGEN),
    Variant("gpt-neox", "plain", hf.GPTNeoXForCausalLM, NEOX),
    Variant("gpt-neox", "linear-scaling", hf.GPTNeoXForCausalLM, dict(NEOX, rope_scaling={"type": "linear", "factor": 2.0})),
    Variant("gpt-neox", "no-attention-bias", hf.GPTNeoXForCausalLM, dict(NEOX, attention_bias=False)),
    Variant("gpt-neox-headless", "plain", hf.GPTNeoXModel, NEOX),
    Variant("llama", "plain", LLAMA, DECODER),
    Variant("llama", "grouped-tied", LLAMA, dict(GROUPED, tie_word_embeddings=True, rope_theta=500000.0)),
    Variant("llama", "multi-query", LLAMA, dict(DECODER, num_key_value_heads=1)),
    Variant("llama", "llama3-scaling", LLAMA, dict(_rope(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16), rope_theta=500.0)),
    Variant("llama", "linear-scaling", LLAMA, _rope(type="linear", factor=4.0)),
    Variant("llama", "yarn-scaling", LLAMA, _rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=10)),
    Variant("llama", "attention-bias", LLAMA, dict(GROUPED, attention_bias=True)),
    Variant("llama", "mlp-bias", LLAMA, dict(GROUPED, mlp_bias=True)),
    Variant("llama", "head-size", LLAMA, dict(GROUPED, head_dim=12)),
    Variant("llama", "muP", LLAMA, GROUPED, params=MUP),
    Variant("llama-headless", "grouped", hf.LlamaModel, GROUPED),
    *(Variant(alias, "grouped", LLAMA, GROUPED) for alias in ("llamaV2", "code-llama", "wizardlm")),
    *(Variant(alias + "-headless", "grouped", hf.LlamaModel, GROUPED) for alias in ("llamaV2", "code-llama", "wizardlm")),
    Variant("mistral", "window", hf.MistralForCausalLM, WINDOW),
    Variant("mistral", "no-window", hf.MistralForCausalLM, dict(GROUPED, sliding_window=None)),
    Variant("mistral", "head-size", hf.MistralForCausalLM, dict(GROUPED, sliding_window=None, head_dim=12)),
    Variant("mistral-headless", "window", hf.MistralModel, WINDOW),
    Variant("mixtral", "plain", hf.MixtralForCausalLM, EXPERTS),
    Variant("mixtral-headless", "plain", hf.MixtralModel, EXPERTS),
    Variant("gemma2", "plain", hf.Gemma2ForCausalLM, GEMMA2, EXACT_HIDDEN, rounding=1e-4),
    Variant("gemma2", "no-soft-capping", hf.Gemma2ForCausalLM,
            dict(GEMMA2, attn_logit_softcapping=None, final_logit_softcapping=None), EXACT_HIDDEN, rounding=1e-4),
    Variant("gemma2", "exact-GELU", hf.Gemma2ForCausalLM, dict(GEMMA2, hidden_activation="gelu"), rounding=1e-4),
    Variant("falcon", "7B-style", hf.FalconForCausalLM, FALCON7),
    Variant("falcon", "40B-style", hf.FalconForCausalLM, dict(DECODER, new_decoder_architecture=True, num_kv_heads=GROUPS)),
    Variant("falcon-headless", "7B-style", hf.FalconModel, FALCON7),
    Variant("bloom", "plain", hf.BloomForCausalLM, BLOOM),
    Variant("bloom-headless", "plain", hf.BloomModel, BLOOM),
    Variant("starcoder", "multi-query", BIGCODE, STARCODER),
    Variant("starcoder", "multi-head", BIGCODE, dict(GPT, multi_query=False)),
    Variant("starcoder-headless", "multi-query", hf.GPTBigCodeModel, STARCODER),
    *(Variant(alias, "multi-query", BIGCODE, STARCODER) for alias in ("octocoder", "wizardcoder", "sqlcoder")),
    *(Variant(alias + "-headless", "multi-query", hf.GPTBigCodeModel, STARCODER)
      for alias in ("octocoder", "wizardcoder", "sqlcoder")),
    Variant("santacoder", "plain", santacoder),
    Variant("btlm", "plain", btlm),
    Variant("btlm", "untied", btlm, dict(tie_word_embeddings=False)),
    Variant("jais", "plain", jais),
    Variant("jais", "learned-positions", jais, dict(position_embedding_type="learned", activation_function="gelu")),
    Variant("bert", "plain", hf.BertForPreTraining, ENCODER),
    Variant("bert", "masked-words", hf.BertForMaskedLM, ENCODER),
    Variant("bert-sequence-classifier", "plain", hf.BertForSequenceClassification,
            dict(CLASSIFIER, problem_type="single_label_classification")),
    Variant("bert-token-classifier", "plain", hf.BertForTokenClassification, CLASSIFIER),
    Variant("roberta", "plain", hf.RobertaForMaskedLM, dict(ENCODER, type_vocab_size=1, pad_token_id=1)),
    Variant("esm-2", "rotary", hf.EsmForMaskedLM, dict(ESM, position_embedding_type="rotary")),
    Variant("esm-2", "absolute", hf.EsmForMaskedLM, dict(ESM, position_embedding_type="absolute")),
    Variant("t5", "plain", T5CLASS, T5),
    Variant("t5", "head-size", T5CLASS, dict(T5, d_kv=6)),
    Variant("t5", "gated-untied", T5CLASS, GATED_T5, EXACT_DENSE),
    Variant("t5", "extra-words", T5CLASS, T5, params={"src_vocab_size": WORDS - 3, "extra_ids": 3}),
    Variant("ul2", "gated-untied", T5CLASS, GATED_T5, EXACT_DENSE),
    Variant("flan-ul2", "gated-untied", T5CLASS, GATED_T5, EXACT_DENSE),
    Variant("transformer", "plain", T5CLASS, T5),
    Variant("clip-vit", "plain", hf.CLIPVisionModelWithProjection, dict(VISION, projection_dim=10)),
    Variant("llava", "plain", llava),
    Variant("llava", "muP-text-model", llava, params={f"text_model.{key}": value for key, value in MUP.items()}),
    Variant("mmsimple-llava", "plain", llava),
    Variant("dragon", "plain", dragon),
    *(Variant("dpo", label, kind, config, format_suffix="-dpo") for label, kind, config in (
        ("gpt2", hf.GPT2LMHeadModel, GPT), ("gptj", hf.GPTJForCausalLM, dict(GPT, rotary_dim=4)),
        ("gpt-neox", hf.GPTNeoXForCausalLM, NEOX), ("llama", LLAMA, GROUPED), ("mistral", hf.MistralForCausalLM, WINDOW),
        ("falcon", hf.FalconForCausalLM, FALCON7), ("bloom", hf.BloomForCausalLM, BLOOM), ("starcoder", BIGCODE, STARCODER))),
]

# What cannot be compared, and why. The table names them, so that their absence is no accident.
NOT_COMPARED = {
    "bert-qa": "Model Zoo 2.10 registers no class for it",
    "falcon with ALiBi": "refused, as by the vendor's tool: Hugging Face divides the slopes by the root of the head size",
    "bert-summarization": "has no Hugging Face side",
    "santacoder-headless": "remote code without a head has no reference here; santacoder covers its tensors",
    "btlm-headless": "remote code without a head has no reference here; btlm covers its tensors",
}
