"""Models of several components: transformers loads each folder and the one checkpoint strictly, with the tensors it had before."""

import json

import pytest
import torch
from transformers import (
    AutoModel, BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, LlavaConfig,
    LlavaForConditionalGeneration)

VISION = dict(hidden_size=24, num_attention_heads=4, num_hidden_layers=3, intermediate_size=36, image_size=12, patch_size=4)
TEXT = dict(vocab_size=97, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=3,
            intermediate_size=44, max_position_embeddings=24)
LLAVA = dict(model_type="llava", architectures=["LlavaLlamaForCausalLM"], mm_hidden_size=24, mm_projector_type="mlp2x_gelu",
             mm_vision_select_layer=-2, mm_vision_select_feature="patch")
PATCHES, IMAGE = 9, 96


def made(cls, config):
    torch.manual_seed(0)
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def write(model, folder, extra=None, tensors=None):
    folder.mkdir(parents=True)
    config = json.loads(model.config.to_json_string(use_diff=False))
    (folder / "config.json").write_text(json.dumps({**config, **(extra or {})}))
    torch.save({**model.state_dict(), **(tensors or {})}, folder / "pytorch_model.bin")


def there_and_back(zooport, source, folder, name, *options):
    zooport("convert", source, "--model", name, "--src-fmt", "hf", "--tgt-fmt", "cs-2.9", "--output-dir", folder / "there")
    (checkpoint,) = (folder / "there").glob("*.mdl")
    zooport("convert", checkpoint, "--model", name, "--src-fmt", "cs-2.9", "--tgt-fmt", "hf", "--output-dir", folder / "back",
            "--config", folder / "there" / "config_to_cs-2.9.yaml", *options)
    return folder / "back"


def loaded(cls, folder, **options):
    model, report = cls.from_pretrained(folder, output_loading_info=True, **options)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    return model.eval()


def same(before, after):
    before, after = before.state_dict(), after.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", ["llava", "mmsimple-llava"])
def test_folders_of_llava_load_strictly(zooport, tmp_path, name):
    tower, text = made(CLIPVisionModel, CLIPVisionConfig(**VISION)), made(LlamaForCausalLM, LlamaConfig(**TEXT))
    torch.manual_seed(1)
    projector = {f"model.mm_projector.{layer}.{leaf}": torch.randn(*shape) for layer, width in ((0, 24), (2, 32))
                 for leaf, shape in (("weight", (32, width)), ("bias", (32,)))}
    write(tower, tmp_path / "source" / "image_model")
    write(text, tmp_path / "source" / "text_model", LLAVA, projector)
    back = there_and_back(zooport, tmp_path / "source", tmp_path, name)
    same(tower, loaded(CLIPVisionModel, back / "image_model"))
    assert type(AutoModel.from_pretrained(back / "image_model")) is CLIPVisionModel
    # The class of the text model is in no release of transformers: it is Llama with a projector.
    config = json.loads((back / "text_model" / "config.json").read_text())
    assert config["model_type"] == "llava" and config["mm_vision_tower"] == "image_model"
    state = torch.load(back / "text_model" / "pytorch_model-00001-of-00001.bin")
    for key, value in projector.items():
        assert torch.equal(state.pop(key), value)
    again = LlamaForCausalLM(LlamaConfig.from_dict({key: value for key, value in config.items() if key != "model_type"}))
    again.load_state_dict(state, strict=True)
    same(text, again)


@pytest.mark.parametrize("name", ["llava", "mmsimple-llava"])
def test_one_checkpoint_computes_the_same(zooport, tmp_path, name):
    model = made(LlavaForConditionalGeneration, LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION), text_config=LlamaConfig(**TEXT), image_token_index=IMAGE))
    model.save_pretrained(tmp_path / "source")
    (folder,) = there_and_back(zooport, tmp_path / "source", tmp_path, name, "--one-checkpoint").glob("*_to_hf")
    again = loaded(LlavaForConditionalGeneration, folder)
    same(model, again)
    again.config.image_token_id = IMAGE  # the Model Zoo has no such token
    tokens = torch.tensor([[1] + [IMAGE] * PATCHES + [5, 6, 7]])
    pixels = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = (each(input_ids=tokens, pixel_values=pixels).logits for each in (model, again))
    assert torch.equal(before, after)


def test_keys_of_the_class_in_memory_convert_alike(zooport, tmp_path):
    model = made(LlavaForConditionalGeneration, LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION), text_config=LlamaConfig(**TEXT), image_token_index=IMAGE))
    model.save_pretrained(tmp_path / "source")
    write(model, tmp_path / "memory")
    outputs = [there_and_back(zooport, tmp_path / part, tmp_path / f"of-{part}", "llava") for part in ("source", "memory")]
    for part in ("image_model", "text_model"):
        first, second = (torch.load(folder / part / "pytorch_model-00001-of-00001.bin") for folder in outputs)
        assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_encoders_of_dragon_load_strictly(zooport, tmp_path):
    config = dict(vocab_size=97, hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=44,
                  max_position_embeddings=24)
    encoders = {}
    for part in ("q_encoder", "ctx_encoder"):
        encoders[part] = made(BertModel, BertConfig(**config))
        write(encoders[part], tmp_path / "source" / part)
    back = there_and_back(zooport, tmp_path / "source", tmp_path, "dragon")
    for part, encoder in encoders.items():
        # The vector of a text is the state of its first token: nothing reads the pooler.
        encoder.pooler = None
        same(encoder, loaded(BertModel, back / part, add_pooling_layer=False))
        assert type(AutoModel.from_pretrained(back / part)) is BertModel
