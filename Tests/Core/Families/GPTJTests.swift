import OrderedCollections
import Testing

@testable import Core

@Suite struct GPTJTests {
  static let configs = ConfigConversion(
    model: "gptj",
    csBase: ["use_ffn_bias": true, "use_ffn_bias_in_attention": false, "use_projection_bias_in_attention": false])

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "vocab_size": 50400, "max_position_embeddings": 2048, "hidden_size": 4096, "num_hidden_layers": 28,
        "num_heads": 16, "rotary_dim": 64, "filter_size": 16384, "nonlinearity": "gelu_new",
        "embedding_dropout_rate": 0.1, "attention_dropout_rate": 0.1, "residual_dropout_rate": 0.1,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "share_embedding_weights": false,
        "use_bias_in_output": true, "use_ffn_bias": true, "use_ffn_bias_in_attention": false,
        "use_projection_bias_in_attention": false, "attention_type": "scaled_dot_product", "mixed_precision": true,
        "position_embedding_type": nil, "use_untied_layer_norm": nil,
      ]),
    AcceptedKey(["vocab_size": 19], ["vocab_size": 19]),
    AcceptedKey(["n_positions": 11], ["max_position_embeddings": 11]),
    AcceptedKey(["n_embd": 8], ["hidden_size": 8, "filter_size": 32]),
    AcceptedKey(["n_embd": 8, "n_inner": 12], ["filter_size": 12]),
    AcceptedKey(["n_embd": 8, "n_inner": nil], ["filter_size": 32]),
    AcceptedKey(["n_layer": 3], ["num_hidden_layers": 3]),
    AcceptedKey(["n_head": 2], ["num_heads": 2]),
    AcceptedKey(["rotary_dim": nil], ["rotary_dim": .some(.null)]),
    AcceptedKey(["rotary": true], ["position_embedding_type": "rotary"]),
    AcceptedKey(["rotary": 1], ["position_embedding_type": "rotary"]),
    AcceptedKey(["activation_function": "relu"], ["nonlinearity": "relu"]),
    AcceptedKey(["embd_pdrop": 0], ["embedding_dropout_rate": 0]),
    AcceptedKey(["attn_pdrop": 0.5], ["attention_dropout_rate": 0.5]),
    AcceptedKey(["resid_pdrop": 0.25], ["residual_dropout_rate": 0.25]),
    AcceptedKey(["layer_norm_epsilon": 1e-6], ["layer_norm_epsilon": 1e-6]),
    AcceptedKey(["initializer_range": 0.01], ["initializer_range": 0.01]),
    AcceptedKey(["tie_word_embeddings": true], ["share_embedding_weights": true]),
    AcceptedKey(["scale_attn_weights": true], ["attention_type": "scaled_dot_product", "scale_attn_weights": nil]),
    AcceptedKey(["use_bias_in_output": false], ["use_bias_in_output": true]),
    AcceptedKey(["use_cache": true, "model_type": "gptj"], ["use_cache": nil, "model_type": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("rotary", false), RefusedKey("scale_attn_weights", false), RefusedKey("n_embd", 0),
    RefusedKey("n_embd", 4_000_000_000_000_000_000), RefusedKey("vocab_size", -1),
    // Keys that only the Model Zoo has.
    RefusedKey("attention_type", "scaled_dot_product"), RefusedKey("use_projection_bias_in_attention", false),
    RefusedKey("use_ffn_bias_in_attention", false), RefusedKey("use_ffn_bias", true), RefusedKey("norm_first", true),
    RefusedKey("use_position_embedding", true), RefusedKey("embedding_layer_norm", false),
    RefusedKey("fixed_sparse_attention", nil), RefusedKey("use_ff_layer1_dropout", false),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "n_positions": 1024, "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "tie_word_embeddings": true,
        "activation_function": "gelu", "layer_norm_epsilon": 1e-5, "initializer_range": 0.02,
        "use_bias_in_output": false, "rotary": nil, "rotary_dim": nil, "n_embd": nil,
        "architectures": ["GPTJForCausalLM"], "model_type": "gptj",
      ]),
    AcceptedKey(["position_embedding_type": "rotary"], ["rotary": true, "position_embedding_type": nil]),
    AcceptedKey(["hidden_size": 8, "filter_size": 12], ["n_embd": 8, "n_inner": 12]),
    AcceptedKey(["num_heads": 2, "num_hidden_layers": 3], ["n_head": 2, "n_layer": 3]),
    AcceptedKey(["rotary_dim": 4, "vocab_size": 19], ["rotary_dim": 4, "vocab_size": 19]),
    AcceptedKey(["use_bias_in_output": true], ["use_bias_in_output": true]),
    AcceptedKey(["share_embedding_weights": false], ["tie_word_embeddings": false]),
    AcceptedKey(["attention_type": "scaled_dot_product"], ["attention_type": nil]),
    AcceptedKey(["fixed_sparse_attention": nil, "norm_first": true], ["norm_first": nil]),
    AcceptedKey(["use_position_embedding": true, "embedding_layer_norm": false], ["use_position_embedding": nil]),
    AcceptedKey(["use_ff_layer1_dropout": false], ["use_ff_layer1_dropout": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "learned"), RefusedKey("attention_type", "dot_product"),
    RefusedKey("use_projection_bias_in_attention", true), RefusedKey("use_ffn_bias_in_attention", true),
    RefusedKey("use_ffn_bias", false), RefusedKey("norm_first", false), RefusedKey("use_position_embedding", false),
    RefusedKey("embedding_layer_norm", true), RefusedKey("fixed_sparse_attention", ["n_heads": 2]),
    RefusedKey("use_ff_layer1_dropout", true), RefusedKey("scale_attn_weights", true), RefusedKey("num_heads", 0),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  /// The defaults of the Model Zoo class alone are no GPT-J of Hugging Face.
  @Test(arguments: ["use_ffn_bias", "use_ffn_bias_in_attention", "use_projection_bias_in_attention"])
  func refusesModelZooDefaults(_ key: String) {
    var base = Self.configs.csBase
    base[key] = nil
    let configs = ConfigConversion(model: "gptj", csBase: base)
    configs.checkRefusal(of: key) { try configs.hf([:]) }
  }

  // MARK: Tensors

  static let hfConfig: ConfigObject = [
    "n_embd": 4, "n_head": 2, "n_layer": 2, "n_positions": 3, "vocab_size": 5, "rotary_dim": 2, "rotary": true,
    "tie_word_embeddings": false,
  ]
  static let csConfig: ConfigObject = [
    "model": [
      "hidden_size": 4, "num_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 3, "vocab_size": 5,
      "rotary_dim": 2, "use_ffn_bias": true, "use_ffn_bias_in_attention": false,
      "use_projection_bias_in_attention": false, "use_bias_in_output": true, "share_embedding_weights": true,
    ]
  ]

  /// Hugging Face (without `transformer.`) and Model Zoo; one tensor under two names is two rows.
  static let bodyKeys: [(hf: String, cs: String)] =
    [
      ("wte.weight", "embedding_layer.word_embeddings.weight"), ("ln_f.weight", "transformer_decoder.norm.weight"),
      ("ln_f.bias", "transformer_decoder.norm.bias"), ("ln_f.weight", "ln_f.weight"), ("ln_f.bias", "ln_f.bias"),
    ]
    + [0, 11].flatMap { layer in
      [
        ("ln_1.weight", "norm1.weight"), ("ln_1.bias", "norm1.bias"),
        ("attn.q_proj.weight", "self_attn.proj_q_dense_layer.weight"),
        ("attn.k_proj.weight", "self_attn.proj_k_dense_layer.weight"),
        ("attn.v_proj.weight", "self_attn.proj_v_dense_layer.weight"),
        ("attn.out_proj.weight", "self_attn.proj_output_dense_layer.weight"),
        ("mlp.fc_in.weight", "ffn.ffn.0.linear_layer.weight"), ("mlp.fc_in.bias", "ffn.ffn.0.linear_layer.bias"),
        ("mlp.fc_out.weight", "ffn.ffn.1.linear_layer.weight"), ("mlp.fc_out.bias", "ffn.ffn.1.linear_layer.bias"),
      ].map { ("h.\(layer).\($0)", "transformer_decoder.layers.\(layer).\($1)") }
    }

  static func shape(_ key: String) -> [Int] { key.hasSuffix(".weight") ? [5, 4] : [5] }

  @Test func mapsKeysToModelZoo() throws {
    let head = [("lm_head.weight", "lm_head.weight"), ("lm_head.bias", "lm_head.bias")]
    let pairs = Self.bodyKeys.map { ("transformer.\($0.hf)", $0.cs) } + head
    let keys = OrderedSet(pairs.map(\.0))
    let buffers = ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"]
    let source = MemoryCheckpoint((keys + buffers).map { ($0, Self.shape($0)) }, model: false)
    let plan = try plannedParts("gptj", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    #expect(plan.keys == Set(pairs.map(\.1)))
    for (hf, cs) in pairs { #expect(plan.tensor(cs)?.expression == .source(hf)) }
  }

  @Test(arguments: ["", "model."]) func mapsKeysToHuggingFace(prefix: String) throws {
    let head = [("lm_head.weight", "lm_head.weight"), ("lm_head.bias", "lm_head.bias")]
    let pairs = Self.bodyKeys.map { ("transformer.\($0.hf)", $0.cs) } + head
    let source = MemoryCheckpoint(pairs.map { (prefix + $0.1, Self.shape($0.1)) }, model: true)
    let plan = try plannedParts("gptj", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    let buffers = [0, 11].flatMap { ["transformer.h.\($0).attn.bias", "transformer.h.\($0).attn.masked_bias"] }
    #expect(plan.keys == Set(pairs.map(\.0) + buffers))
    for (hf, cs) in pairs where !cs.hasPrefix("ln_f") {
      #expect(plan.tensor(hf)?.expression == .source(prefix + cs))
    }
    #expect(plan.tensor("transformer.h.0.attn.bias")?.expression == .generate(.causalMask(size: 3)))
    #expect(try plan.floats("transformer.h.11.attn.masked_bias", from: source) == [-1e9])
    #expect(plan.tensor("transformer.h.0.attn.masked_bias")?.shape == [])
  }

  @Test func fillsSharedEmbeddings() throws {
    let shapes: [(String, [Int]?)] = [("embedding_layer.word_embeddings.weight", nil), ("lm_head.weight", [5, 4])]
    let source = MemoryCheckpoint(shapes, model: true)
    let plan = try plannedParts("gptj", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    #expect(plan.tensor("transformer.wte.weight")?.expression == .source("lm_head.weight"))
  }

  @Test func acceptsAbsentSecondNormOnly() throws {
    let key = "transformer_decoder.layers.0.norm3.weight"
    let absent = MemoryCheckpoint([(key, nil)], model: true)
    #expect(try plannedParts("gptj", from: "cs-1.7", to: "hf", config: Self.csConfig, absent).tensors.isEmpty)
    let present = MemoryCheckpoint([(key, [4])], model: true)
    let error = conversionError { try plannedParts("gptj", from: "cs-1.7", to: "hf", config: Self.csConfig, present) }
    #expect(error?.kind == .configNotConvertible)
    #expect(error?.diagnostics.filter { $0.severity == .error }.map(\.subject) == [.tensor(key)])
  }

  /// The vendor's tool gives GPT-J a head after the embedding, other models one after the config.
  @Test func fitsAHeadToTheEmbedding() throws {
    let source = MemoryCheckpoint(["wte.weight": [7, 4]], model: false)
    let plan = try plannedParts("gptj-headless", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    #expect(plan.tensor("lm_head.weight")?.shape == [7, 4])
    #expect(plan.tensor("lm_head.bias")?.shape == [7])
    for model in ["codegen-headless", "gpt2-headless"] {
      var config = Self.hfConfig
      config["rotary"] = nil
      config["n_head"] = 4
      for (key, value) in ["embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1] as ConfigObject {
        config[key] = value
      }
      let error = conversionError { try plannedParts(model, from: "hf", to: "cs-1.8", config: config, source) }
      #expect(error?.kind == .stateDictMismatch, "\(model)")
      #expect(error?.message.contains("the config asks for shape [5, 4]") == true)
      #expect(error?.message.contains("has [7, 4]") == true)
      config["vocab_size"] = 7
      let fitting = try plannedParts(model, from: "hf", to: "cs-1.8", config: config, source)
      #expect(fitting.tensor("lm_head.weight")?.shape == [7, 4])
    }
  }

  @Test func givesHeadlessModelsAHead() throws {
    let source = MemoryCheckpoint(["wte.weight": [5, 4]], model: false)
    let plan = try plannedParts("gptj-headless", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    #expect(plan.tensor("lm_head.weight")?.shape == [5, 4])
    let weights = try plan.floats("lm_head.weight", from: source)
    #expect(Set(weights).count == 20)
    #expect(weights.allSatisfy { abs($0) < 0.2 })
    #expect(try plan.floats("lm_head.bias", from: source).map(\.bitPattern) == [UInt32](repeating: 0, count: 5))
    #expect(plan.warnings.map(\.subject).contains(.tensor("lm_head.weight")))

    let keys = ["embedding_layer.word_embeddings.weight", "lm_head.weight", "lm_head.bias"]
    let trained = MemoryCheckpoint(keys.map { ($0, Self.shape($0)) }, model: true)
    let back = try plannedParts("gptj-headless", from: "cs-1.8", to: "hf", config: Self.csConfig, trained)
    #expect(back.keys == ["wte.weight"])
  }
}
