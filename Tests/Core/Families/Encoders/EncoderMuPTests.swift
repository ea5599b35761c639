import OrderedCollections
import Testing

@testable import Core

/// What muP training of BERT and T5 leaves to be folded into weights.
@Suite struct EncoderMuPTests {
  static let bertConfig: ConfigObject = [
    "hidden_size": 8, "num_heads": 2, "pooler_nonlinearity": "tanh", "max_position_embeddings": 3,
    "mup_base_hidden_size": 4, "mup_base_filter_size": 4, "embeddings_scale": 10, "output_logits_alpha": 3,
    "attention_logits_alpha": 4, "layer_norm_epsilon": 1e-12,
  ]
  static let key = "bert_encoder.transformer_encoder.layers.0.self_attn.proj_k_dense_layer.bias"

  /// The class scales the logits of both heads, biases included; a norm behind the embeddings undoes their scale.
  @Test(arguments: [(1e-12, Float(1)), (1e-5, 10)]) func scalesHeadsOfBERT(_ epsilon: Double, _ factor: Float) throws {
    let scaled: OrderedDictionary<String, (hf: String, factor: Float)> = [
      "bert_mlm_head.classifier.ffn.0.linear_layer.weight": ("cls.predictions.decoder.weight", 1.5),
      "bert_mlm_head.classifier.ffn.0.linear_layer.bias": ("cls.predictions.decoder.bias", 1.5),
      "bert_cls_head.classifier.ffn.0.linear_layer.bias": ("cls.seq_relationship.bias", 1.5),
      // 4 / sqrt(8 / 2)
      Self.key: ("bert.encoder.layer.0.attention.self.key.bias", 2),
      "bert_encoder.embedding_layer.word_embeddings.weight": ("bert.embeddings.word_embeddings.weight", factor),
      "bert_encoder.embed_ln_f.weight": ("bert.embeddings.LayerNorm.weight", 1),
    ]
    let source = MemoryCheckpoint(
      scaled.keys.map { ($0, $0.hasSuffix("dings.weight") || $0.hasSuffix("layer.weight") ? [2, 8] : [8]) }, model: true
    )
    var section = Self.bertConfig
    section["layer_norm_epsilon"] = .double(epsilon)
    let plan = try plannedParts("bert", from: "cs-2.9", to: "hf", config: ["model": .object(section)], source)
    for (cs, result) in scaled {
      #expect(try plan.floats(result.hf, from: source) == source[cs].map { $0 * result.factor }, "\(cs)")
    }
    #expect(plan.config["tie_word_embeddings"] == false)
    #expect(plan.config.keys.allSatisfy { !$0.hasPrefix("mup") && $0 != "embeddings_scale" })
  }

  @Test func refusesMuPThatReleasesDoNotFold() {
    for (model, release) in [("bert", "cs-2.2"), ("bert-qa", "cs-2.9"), ("t5", "cs-2.2")] {
      let base = model == "t5" ? T5Tests.csBase : ["pooler_nonlinearity": "tanh", "hidden_size": 8]
      let configs = ConfigConversion(model: model, csBase: base, release: release)
      configs.checkRefusal(of: "mup_base_hidden_size") { try configs.hf(["mup_base_hidden_size": 4]) }
    }
  }

  // MARK: T5

  static let t5Config = T5Tests.csBase.merging([
    "d_model": 16, "d_kv": 4, "mup_base_d_model": 4, "mup_base_d_ff": 4, "embeddings_alpha": 3,
    "output_logits_alpha": 8, "encoder_attention_logits_alpha": 2, "decoder_attention_logits_alpha": 6,
  ]) { $1 }

  func factors(_ changes: ConfigObject) throws -> [String: Float] {
    let names: OrderedDictionary = [
      "encoder.layers.0.self_attn.proj_q_dense_layer.weight": "encoder.block.0.layer.0.SelfAttention.q.weight",
      "encoder.layers.0.self_attn.proj_k_dense_layer.weight": "encoder.block.0.layer.0.SelfAttention.k.weight",
      "decoder.layers.0.multihead_attn.proj_k_dense_layer.weight": "decoder.block.0.layer.1.EncDecAttention.k.weight",
      "decoder.layers.0.self_attn.proj_v_dense_layer.weight": "decoder.block.0.layer.0.SelfAttention.v.weight",
      "encoder.layers.0.self_attn.proj_output_dense_layer.weight": "encoder.block.0.layer.0.SelfAttention.o.weight",
      "encoder_embeddings.word_embeddings.weight": "encoder.embed_tokens.weight",
      "lm_head.weight": "lm_head.weight",
    ]
    let biases = T5.stacks.map { "\($0)_embeddings.position_embed_helper.relative_attention_bias.weight" }
    let source = MemoryCheckpoint((Array(names.keys) + biases).map { ($0, [2, 1]) }, model: true)
    let section = Self.t5Config.merging(changes) { $1 }
    let plan = try plannedParts("t5", from: "cs-2.9", to: "hf", config: ["model": .object(section)], source)
    return try names.reduce(into: [:]) { factors, name in
      let parts = name.value.split(separator: ".")
      let label = name.value.hasSuffix("head.weight") ? "head" : "\(name.value.prefix(1))\(parts[parts.count - 2])"
      factors[label] = try plan.floats(name.value, from: source)[1] / source[name.key][1]
    }
  }

  @Test func scalesT5() throws {
    // The width is 4 times that of the base; heads have 4 rows.
    #expect(
      try factors([:]) == ["eq": 0.25, "ek": 0.5, "dk": 1.5, "dv": 0.5, "eo": 2, "eembed_tokens": 12, "head": 4])
    #expect(try factors(["scale_output_logits_by_d": true])["head"] == 2)
    let heads = try factors(["mup_base_d_kv": 2, "scale_encoder_qk_dot_by_d": false])
    #expect(heads == ["eq": 0.5, "ek": 2, "dk": 3, "dv": 1, "eo": 1, "eembed_tokens": 12, "head": 4])
  }

  /// Without a base model only what the class applies in any case counts; its division of the logits becomes the head's.
  @Test func scalesT5WithoutABase() throws {
    let none: ConfigObject = ["mup_base_d_model": .null, "mup_base_d_ff": .null]
    #expect(
      try factors(none) == ["eq": 1, "ek": 2, "dk": 6, "dv": 1, "eo": 1, "eembed_tokens": 3, "head": 0.25])
    let attention = none.merging(["embeddings_alpha": 1]) { $1 }
    #expect(try factors(attention)["head"] == 1)
    #expect(try factors(attention)["dk"] == 6)
  }
}
