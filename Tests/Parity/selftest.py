#!/usr/bin/env python
"""The comparison must fail where something is wrong. `selftest.py CHECKOUT` shows that it does.

A small GPT-2 is carried to the vendor's class by hand; then one thing at a time is made wrong.
"""

import json
import logging
import sys
import tempfile
import unittest
from pathlib import Path

import torch

import outputs
import references
import variants
import vendor

SECTION = dict(name="gpt2", vocab_size=variants.WORDS, hidden_size=variants.HIDDEN, num_heads=variants.HEADS,
               num_hidden_layers=variants.LAYERS, filter_size=variants.INNER, max_position_embeddings=variants.POSITIONS,
               nonlinearity="gelu_new", share_embedding_weights=True, use_bias_in_output=False, layer_norm_epsilon=1e-5)
PARTS = {"ln_1": "norm1", "ln_2": "norm3", "attn.c_proj": "self_attn.proj_output_dense_layer", "mlp.c_fc": "ffn.ffn.0.linear_layer",
         "mlp.c_proj": "ffn.ffn.1.linear_layer"}


def carried(source):
    """GPT-2's tensors under the names and in the layout of the vendor's class."""
    out = {"embedding_layer.word_embeddings.weight": source["transformer.wte.weight"],
           "embedding_layer.position_embeddings.embed.weight": source["transformer.wpe.weight"],
           "lm_head.weight": source["lm_head.weight"]}
    for kind in ("weight", "bias"):
        out[f"ln_f.{kind}"] = out[f"transformer_decoder.norm.{kind}"] = source[f"transformer.ln_f.{kind}"]
        for layer in range(variants.LAYERS):
            old, new = f"transformer.h.{layer}.", f"transformer_decoder.layers.{layer}."
            for name, other in PARTS.items():
                value = source[f"{old}{name}.{kind}"]
                out[f"{new}{other}.{kind}"] = value.t() if value.dim() == 2 else value
            for name, value in zip("qkv", source[f"{old}attn.c_attn.{kind}"].chunk(3, -1)):
                out[f"{new}self_attn.proj_{name}_dense_layer.{kind}"] = value.t() if value.dim() == 2 else value
    return out


class Comparison(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        next(v for v in variants.VARIANTS if v.model == "gpt2").write(self.folder)
        self.tensors = carried(references.state_of(self.folder))

    def distance(self, tensors):
        model = vendor.load(vendor.build(SECTION, "gpt2")[0], tensors)
        want, run = outputs.both(references.read(self.folder), model)
        return outputs.difference(want, run())

    def test_a_right_conversion_agrees(self):
        self.assertLess(self.distance(self.tensors), 1e-4)

    def test_exchanged_query_and_key_differ(self):
        for layer in range(variants.LAYERS):
            query, key = (f"transformer_decoder.layers.{layer}.self_attn.proj_{n}_dense_layer.weight" for n in "qk")
            self.tensors[query], self.tensors[key] = self.tensors[key], self.tensors[query]
        self.assertGreater(self.distance(self.tensors), 1e-3)

    def test_a_tensor_that_is_not_transposed_differs(self):
        name = "transformer_decoder.layers.1.self_attn.proj_output_dense_layer.weight"
        self.tensors[name] = self.tensors[name].t()
        self.assertGreater(self.distance(self.tensors), 1e-3)

    def test_a_missing_and_an_additional_key_are_refused(self):
        norm = self.tensors.pop("ln_f.bias")
        with self.assertRaisesRegex(vendor.Refused, "Missing key.*ln_f.bias"):
            self.distance(self.tensors)
        with self.assertRaisesRegex(vendor.Refused, "Unexpected key.*another.bias"):
            self.distance({**self.tensors, "ln_f.bias": norm, "another.bias": norm})

    def test_two_values_of_one_parameter_are_refused(self):
        self.tensors["lm_head.weight"] = self.tensors["lm_head.weight"] + 1
        with self.assertRaisesRegex(vendor.Refused, "one parameter"):
            self.distance(self.tensors)

    def test_a_config_key_that_the_class_does_not_know_is_refused_or_named(self):
        section = dict(SECTION, no_such_option=3)
        with self.assertRaisesRegex(vendor.Refused, "no_such_option"):
            vendor.build(section, "gpt2")
        self.assertEqual(vendor.build(section, "gpt2", allow_refused_keys=True)[1], ["no_such_option"])

    def test_values_that_are_not_numbers_and_other_shapes_differ(self):
        for wrong in (torch.full((2,), float("nan")), torch.zeros(3)):
            self.assertEqual(outputs.difference({"logits": torch.zeros(2)}, {"logits": wrong}), float("inf"))

    def test_incomplete_folders_have_no_reference(self):
        tensors = torch.load(self.folder / "pytorch_model.bin", weights_only=True)
        del tensors["transformer.h.1.ln_1.weight"]
        torch.save(tensors, self.folder / "pytorch_model.bin")
        with self.assertRaisesRegex(references.NoReference, "missing"):
            references.read(self.folder)

    def test_an_index_that_does_not_tell_the_truth_is_refused(self):
        index = {"weight_map": {"transformer.wte.weight": "pytorch_model.bin"}}
        (self.folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        with self.assertRaisesRegex(references.NoReference, "does not hold"):
            references.read(self.folder)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: selftest.py CHECKOUT")
    logging.disable(logging.WARNING)
    torch.set_grad_enabled(False)
    vendor.use(sys.argv.pop(1))
    unittest.main()
