import OrderedCollections
import Testing

@testable import Core

@Suite struct GPTNeoXTests {
  static let configs = ConfigConversion(
    model: "gpt-neox",
    csBase: [
      "use_ffn_bias": true, "use_untied_layer_norm": true, "embedding_dropout_rate": 0.0, "attention_dropout_rate": 0.0,
      "residual_dropout_rate": 0.0, "hidden_size": 24, "num_heads": 2,
    ])

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_heads": 64, "filter_size": 24576,
        "nonlinearity": "gelu", "rotary_dim": 24, "max_position_embeddings": 2048, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5, "share_embedding_weights": false, "attention_type": "scaled_dot_product",
        "use_untied_layer_norm": true, "use_projection_bias_in_attention": true, "use_ffn_bias_in_attention": true,
        "use_ffn_bias": true, "use_bias_in_output": false, "embedding_dropout_rate": 0.0, "residual_dropout_rate": 0.0,
        "attention_dropout_rate": 0.0, "rotary_emb_base": nil, "position_embedding_type": nil, "mixed_precision": true,
      ]),
    AcceptedKey(
      ["hidden_size": 16, "num_attention_heads": 2, "rotary_pct": 0.3], ["rotary_dim": 2, "hidden_size": 16]),
    AcceptedKey(["hidden_size": 16, "num_attention_heads": 2, "rotary_pct": 1], ["rotary_dim": 8, "num_heads": 2]),
    AcceptedKey(["hidden_size": 17, "num_attention_heads": 2, "rotary_pct": 0.5], ["rotary_dim": 4]),
    AcceptedKey(["intermediate_size": 12, "hidden_act": "relu"], ["filter_size": 12, "nonlinearity": "relu"]),
    AcceptedKey(["layer_norm_eps": 1e-6, "initializer_range": 0.1], ["layer_norm_epsilon": 1e-6]),
    AcceptedKey(["max_position_embeddings": 7, "vocab_size": 5], ["max_position_embeddings": 7, "vocab_size": 5]),
    AcceptedKey(["num_hidden_layers": 3], ["num_hidden_layers": 3]),
    AcceptedKey(["tie_word_embeddings": true], ["share_embedding_weights": true]),
    AcceptedKey(["use_parallel_residual": true, "rotary_emb_base": 10000.0], ["use_parallel_residual": nil]),
    AcceptedKey(["scale_attn_weights": true], ["attention_type": "scaled_dot_product"]),
    AcceptedKey(["attention_bias": true], ["use_projection_bias_in_attention": true, "attention_bias": nil]),
    AcceptedKey(
      [
        "hidden_size": 16, "num_attention_heads": 2,
        "rope_parameters": .object(["rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5]),
      ],
      ["rotary_dim": 4, "rope_parameters": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("rotary", true), RefusedKey("rotary_emb_base", 20000), RefusedKey("use_parallel_residual", false),
    RefusedKey("scale_attn_weights", false), RefusedKey("rotary_pct", "all"), RefusedKey("rotary_pct", 1e300),
    RefusedKey("num_attention_heads", 0), RefusedKey("rope_parameters", .object(["rope_type": "linear"])),
    RefusedKey("attention_bias", false),
    // Keys that only the Model Zoo has.
    RefusedKey("embedding_dropout_rate", 0.0), RefusedKey("attention_dropout_rate", 0.0),
    RefusedKey("residual_dropout_rate", 0.0), RefusedKey("use_untied_layer_norm", true),
    RefusedKey("use_bias_in_output", false), RefusedKey("attention_type", "scaled_dot_product"),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "rotary_pct": 1.0, "rotary_emb_base": 10000, "max_position_embeddings": 1024, "tie_word_embeddings": true,
        "hidden_act": "gelu", "layer_norm_eps": 1e-5, "initializer_range": 0.02, "num_attention_heads": 2,
        "rotary_dim": nil, "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox",
      ]),
    AcceptedKey(["rotary_dim": 4], ["rotary_pct": .some(.double(4.0 / 12.0))]),
    AcceptedKey(["rotary_dim": 12], ["rotary_pct": 1.0]),
    AcceptedKey(["position_embedding_type": "rotary"], ["position_embedding_type": nil, "rotary": nil]),
    AcceptedKey(["embedding_dropout_rate": 0, "use_ffn_bias_in_attention": true], ["embedding_dropout_rate": nil]),
    AcceptedKey(["filter_size": 12, "nonlinearity": "relu"], ["intermediate_size": 12, "hidden_act": "relu"]),
    AcceptedKey(["layer_norm_epsilon": 1e-6], ["layer_norm_eps": 1e-6]),
    AcceptedKey(["share_embedding_weights": false], ["tie_word_embeddings": false]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "learned"), RefusedKey("embedding_dropout_rate", 0.1),
    RefusedKey("attention_dropout_rate", 0.1), RefusedKey("residual_dropout_rate", 0.1),
    RefusedKey("use_untied_layer_norm", false), RefusedKey("use_bias_in_output", true),
    RefusedKey("use_ffn_bias", false), RefusedKey("use_projection_bias_in_attention", false),
    RefusedKey("attention_type", "dot_product"),
    RefusedKey("rotary_emb_base", 10000), RefusedKey("use_parallel_residual", true), RefusedKey("num_heads", 0),
    RefusedKey("rotary_dim", "half"),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  /// Dropouts that the Model Zoo config leaves out are 0.1 there, which the HF model does not have.
  @Test(arguments: [
    "embedding_dropout_rate", "attention_dropout_rate", "residual_dropout_rate", "use_untied_layer_norm",
    "use_ffn_bias",
  ])
  func refusesModelZooDefaults(_ key: String) {
    var base = Self.configs.csBase
    base[key] = nil
    let configs = ConfigConversion(model: "gpt-neox", csBase: base)
    configs.checkRefusal(of: key) { try configs.hf([:]) }
  }

  // MARK: Tensors

  /// Two heads of six rows, four of them rotary.
  static let hfConfig: ConfigObject = [
    "hidden_size": 12, "num_attention_heads": 2, "num_hidden_layers": 1, "max_position_embeddings": 3, "vocab_size": 5,
    "rotary_pct": 0.7,
  ]
  static let csConfig: ConfigObject = [
    "model": [
      "hidden_size": 12, "num_heads": 2, "num_hidden_layers": 1, "max_position_embeddings": 3, "vocab_size": 5,
      "rotary_dim": 4, "use_ffn_bias": true, "use_untied_layer_norm": true, "embedding_dropout_rate": 0.0,
      "attention_dropout_rate": 0.0, "residual_dropout_rate": 0.0,
    ]
  ]
  static let packed = "layers.0.attention.query_key_value."
  static func part(_ name: String) -> String { "transformer_decoder.layers.0.self_attn.proj_\(name)_dense_layer." }

  /// Rows of the packed tensor that q, k and v of the Model Zoo hold: each head has six rows of q, six of k, six of v;
  /// the first four rows of q and k turn from halves (0 1 | 2 3) to pairs (0 2 | 1 3).
  static let packedRows: [(name: String, rows: [Int])] = [
    ("q", [0, 2, 1, 3, 4, 5, 18, 20, 19, 21, 22, 23]), ("k", [6, 8, 7, 9, 10, 11, 24, 26, 25, 27, 28, 29]),
    ("v", [12, 13, 14, 15, 16, 17, 30, 31, 32, 33, 34, 35]),
  ]

  @Test(arguments: packedRows) func unpacksHeads(_ name: String, rows: [Int]) throws {
    let source = MemoryCheckpoint(
      [(Self.packed + "weight", [36, 12]), (Self.packed + "bias", [36])], model: false)
    let plan = try plannedParts("gpt-neox-headless", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    let packed = source.rows(Self.packed + "weight", columns: 12)
    #expect(try plan.floats(Self.part(name) + "weight", from: source) == rows.flatMap { packed[$0] })
    #expect(plan.tensor(Self.part(name) + "weight")?.shape == [12, 12])
    let bias = source[Self.packed + "bias"]
    #expect(try plan.floats(Self.part(name) + "bias", from: source) == rows.map { bias[$0] })
  }

  @Test func packsHeads() throws {
    let names = ["q", "k", "v"].flatMap { [Self.part($0) + "weight", Self.part($0) + "bias"] }
    let source = MemoryCheckpoint(names.map { ($0, $0.hasSuffix("weight") ? [12, 12] : [12]) }, model: true)
    let plan = try plannedParts("gpt-neox-headless", from: "cs-1.7", to: "hf", config: Self.csConfig, source)
    var weight = [[Float]](repeating: [], count: 36)
    var bias = [Float](repeating: 0, count: 36)
    for (name, rows) in Self.packedRows {
      let part = source.rows(Self.part(name) + "weight", columns: 12)
      for (index, row) in rows.enumerated() {
        weight[row] = part[index]
        bias[row] = source[Self.part(name) + "bias"][index]
      }
    }
    #expect(try plan.floats(Self.packed + "weight", from: source) == weight.flatMap { $0 })
    #expect(try plan.floats(Self.packed + "bias", from: source) == bias)
    #expect(try plan.floats("layers.0.attention.rotary_emb.inv_freq", from: source) == [1, 0.01])
    #expect(try plan.floats("layers.0.attention.masked_bias", from: source) == [-1e9])
    #expect(plan.tensor("layers.0.attention.bias")?.expression == .generate(.causalMask(size: 3)))
  }

  @Test func namesMissingPart() {
    let names = ["q", "k"].map { Self.part($0) + "bias" }
    let source = MemoryCheckpoint(names.map { ($0, [12]) }, model: true)
    let error = conversionError {
      try plannedParts("gpt-neox", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    }
    #expect(error?.kind == .stateDictMismatch)
    #expect(error?.message.contains(Self.part("v") + "bias") == true)
  }

  /// Without `attention_bias` a whole model has no biases there, and with it, all of them.
  @Test(arguments: ["hf", "cs-2.9"]) func biasesFollowTheirFlag(_ source: String) throws {
    var config = Self.hfConfig.merging(["intermediate_size": 8, "model_type": "gpt_neox"]) { $1 }
    if source != "hf" {
      guard case .object(let section) = Self.csConfig["model"] else { return }
      config = section.merging(["filter_size": 8]) { $1 }
    }
    let flags: ConfigObject =
      source == "hf"
      ? ["attention_bias": false] : ["use_projection_bias_in_attention": false, "use_ffn_bias_in_attention": false]
    func described(_ flags: ConfigObject) throws -> (tree: ObjectTree<TensorDescriptor>, config: ConfigObject) {
      let section = config.merging(flags) { $1 }
      let document: ConfigObject = source == "hf" ? section : ["model": .object(section)]
      let route = try Catalogue.route(
        model: "gpt-neox", from: source, to: source == "hf" ? "cs-2.9" : "hf", config: document)
      return (try Planner.described(by: document, along: route), document)
    }
    func plan(_ tree: ObjectTree<TensorDescriptor>, _ document: ConfigObject) throws -> Plan {
      let route = try Catalogue.route(
        model: "gpt-neox", from: source, to: source == "hf" ? "cs-2.9" : "hf", config: document)
      return try Planner.plan(config: document, checkpoint: tree, along: route)
    }
    func biases(_ plan: Plan) -> Set<String> {
      plan.keys.filter { $0.hasSuffix("bias") && ($0.contains(".attention.") || $0.contains(".self_attn.")) }
    }
    let without = try described(flags)
    let with = try described([:])
    #expect(biases(try plan(without.tree, without.config)).isEmpty)
    let expected =
      source == "hf"
      ? ["q", "k", "v", "output"].map { Self.part($0) + "bias" }
      : ["query_key_value.bias", "dense.bias", "bias", "masked_bias"].map { "gpt_neox.layers.0.attention.\($0)" }
    #expect(biases(try plan(with.tree, with.config)) == Set(expected))
    // What the flag says and what is there must agree.
    #expect(conversionError { try plan(without.tree, with.config) }?.kind == .stateDictMismatch)
  }

  /// Releases before 2.0 have biases in every attention.
  @Test func biasesOfAllProjectionsAreOneFlag() throws {
    var configs = Self.configs
    configs.release = "cs-2.9"
    let flags: ConfigObject = ["use_projection_bias_in_attention": false, "use_ffn_bias_in_attention": false]
    configs.check(
      try configs.cs(["attention_bias": false]),
      AcceptedKey([:], ["use_projection_bias_in_attention": false, "use_ffn_bias_in_attention": false]))
    configs.check(try configs.hf(flags), AcceptedKey(flags, ["attention_bias": false]))
    configs.checkRefusal(of: "attention_bias") { try configs.cs(["attention_bias": "no"]) }
    for key in flags.keys {
      configs.checkRefusal(of: "use_projection_bias_in_attention") { try configs.hf([key: false]) }
      Self.configs.checkRefusal(of: key) { try Self.configs.hf([key: false]) }
    }
  }

  @Test func needsRotaryRowsForTensors() {
    guard case .object(var section) = Self.csConfig["model"] else { return }
    section["rotary_dim"] = nil
    let names = ["q", "k", "v"].map { Self.part($0) + "bias" }
    let source = MemoryCheckpoint(names.map { ($0, [12]) }, model: true)
    let error = conversionError {
      try plannedParts("gpt-neox", from: "cs-1.8", to: "hf", config: ["model": .object(section)], source)
    }
    #expect(error?.kind == .stateDictMismatch)
    #expect(error?.message.contains("rotary_dim") == true)
  }

  /// Hugging Face (without `gpt_neox.`) and Model Zoo, besides q, k and v.
  static let bodyKeys: [(hf: String, cs: String)] =
    [
      ("embed_in.weight", "embedding_layer.word_embeddings.weight"),
      ("final_layer_norm.weight", "transformer_decoder.norm.weight"),
      ("final_layer_norm.bias", "transformer_decoder.norm.bias"), ("final_layer_norm.weight", "ln_f.weight"),
      ("final_layer_norm.bias", "ln_f.bias"),
    ]
    + ["weight", "bias"].flatMap { leaf in
      [
        ("input_layernorm", "norm1"), ("post_attention_layernorm", "norm3"),
        ("attention.dense", "self_attn.proj_output_dense_layer"), ("mlp.dense_h_to_4h", "ffn.ffn.0.linear_layer"),
        ("mlp.dense_4h_to_h", "ffn.ffn.1.linear_layer"),
      ].map { ("layers.3.\($0).\(leaf)", "transformer_decoder.layers.3.\($1).\(leaf)") }
    }

  @Test func mapsKeysBothWays() throws {
    let pairs = Self.bodyKeys.map { ("gpt_neox.\($0.hf)", $0.cs) } + [("embed_out.weight", "lm_head.weight")]
    let buffers = ["bias", "masked_bias", "rotary_emb.inv_freq"].map { "gpt_neox.layers.3.attention.\($0)" }
    let hf = MemoryCheckpoint((OrderedSet(pairs.map(\.0)) + buffers).map { ($0, [2]) }, model: false)
    let toModelZoo = try plannedParts("gpt-neox", from: "hf", to: "cs-1.8", config: Self.hfConfig, hf)
    #expect(toModelZoo.keys == Set(pairs.map(\.1)))
    for (hf, cs) in pairs { #expect(toModelZoo.tensor(cs)?.expression == .source(hf)) }

    let cs = MemoryCheckpoint(pairs.map { ($0.1, [2]) }, model: true)
    let toHuggingFace = try plannedParts("gpt-neox", from: "cs-1.8", to: "hf", config: Self.csConfig, cs)
    #expect(toHuggingFace.keys == Set(pairs.map(\.0)))
    for (hf, cs) in pairs where !cs.hasPrefix("ln_f") { #expect(toHuggingFace.tensor(hf)?.expression == .source(cs)) }
  }

  @Test func readsAHeadUnderItsOtherNameOnlyAlone() throws {
    let alone = MemoryCheckpoint(["lm_head.weight": [5, 12]], model: false)
    let plan = try plannedParts("gpt-neox", from: "hf", to: "cs-1.8", config: Self.hfConfig, alone)
    #expect(plan.tensor("lm_head.weight")?.expression == .source("lm_head.weight"))

    for names in [["lm_head", "embed_out"], ["embed_out", "lm_head"]] {
      let both = MemoryCheckpoint(names.map { ("\($0).weight", [5, 12]) }, model: false)
      let error = conversionError {
        try plannedParts("gpt-neox", from: "hf", to: "cs-1.8", config: Self.hfConfig, both)
      }
      #expect(error?.kind == .keysUnmatched)
      #expect(error?.diagnostics.contains { $0.subject == .tensor("lm_head.weight") } == true)
    }
  }
}
