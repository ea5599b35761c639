import OrderedCollections
import Testing

@testable import Core

@Suite struct T5Tests {
  static let configs = ConfigConversion(model: "t5", csBase: csBase)
  static let oldConfigs = ConfigConversion(model: "t5", csBase: csBase, release: "cs-1.7")
  static let csBase: ConfigObject = [
    "src_vocab_size": 19, "d_model": 8, "dropout_rate": 0.1, "encoder_nonlinearity": "relu",
  ]

  // MARK: Config

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "src_vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "encoder_num_hidden_layers": 6,
        "decoder_num_hidden_layers": 6, "num_heads": 8, "relative_attention_num_buckets": 32, "dropout_rate": 0.1,
        "layer_norm_epsilon": 1e-6, "encoder_nonlinearity": "relu", "decoder_nonlinearity": "relu",
        "share_embedding_weights": true, "src_max_position_embeddings": 512, "tgt_max_position_embeddings": 512,
        "mixed_precision": true, "use_pre_encoder_decoder_layer_norm": nil, "position_embedding_type": nil,
      ]),
    AcceptedKey(["num_layers": 2], ["encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 2]),
    AcceptedKey(
      ["num_layers": 2, "num_decoder_layers": 3], ["encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 3]),
    AcceptedKey(["num_layers": 2, "num_decoder_layers": .null], ["decoder_num_hidden_layers": 2]),
    AcceptedKey(["num_layers": 2], ["decoder_num_hidden_layers": 2]),
    AcceptedKey(["feed_forward_proj": "gelu"], ["encoder_nonlinearity": "gelu", "decoder_nonlinearity": "gelu"]),
    AcceptedKey(["tie_word_embeddings": false, "vocab_size": 7], ["share_embedding_weights": false]),
    AcceptedKey(["d_kv": 5, "d_ff": 12, "num_heads": 3], ["d_kv": 5, "d_ff": 12, "num_heads": 3]),
    AcceptedKey(
      ["relative_attention_max_distance": 128, "is_encoder_decoder": true, "dense_act_fn": "relu"],
      ["relative_attention_max_distance": nil, "is_encoder_decoder": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
    Self.oldConfigs.check(try Self.oldConfigs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("feed_forward_proj", "gated-gelu"), RefusedKey("is_encoder_decoder", false),
    RefusedKey("relative_attention_max_distance", 64), RefusedKey("d_model", 0),
    // Keys that only the Model Zoo has.
    RefusedKey("use_pre_encoder_decoder_layer_norm", true), RefusedKey("use_ffn_bias", false),
    RefusedKey("position_embedding_type", "relative"), RefusedKey("use_transformer_initialization", false),
    RefusedKey("share_encoder_decoder_embedding", true), RefusedKey("use_dropout_outside_residual_path", true),
    RefusedKey("use_pre_encoder_decoder_dropout", false), RefusedKey("use_projection_bias_in_attention", false),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "vocab_size": 19, "d_model": 8, "dropout_rate": 0.1, "feed_forward_proj": "relu",
        "relative_attention_num_buckets": 32, "tie_word_embeddings": true, "layer_norm_epsilon": 1e-5,
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
      ]),
    AcceptedKey(
      ["encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 3], ["num_layers": 2, "num_decoder_layers": 3]),
    AcceptedKey(
      ["tgt_vocab_size": 19, "relu_dropout_rate": 0.1, "decoder_nonlinearity": "relu"],
      ["tgt_vocab_size": nil, "relu_dropout_rate": nil, "decoder_nonlinearity": nil]),
    AcceptedKey(["tgt_vocab_size": .null, "relu_dropout_rate": .null], ["vocab_size": 19]),
    AcceptedKey(["src_max_position_embeddings": 7, "mixed_precision": true], ["src_max_position_embeddings": nil]),
    AcceptedKey(
      [
        "position_embedding_type": "relative", "use_dropout_outside_residual_path": true, "use_ffn_bias": false,
        "share_encoder_decoder_embedding": true, "use_transformer_initialization": false,
      ], ["position_embedding_type": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
    Self.oldConfigs.check(try Self.oldConfigs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "fixed"), RefusedKey("position_embedding_type", .null),
    RefusedKey("tgt_vocab_size", 20), RefusedKey("relu_dropout_rate", 0.2), RefusedKey("decoder_nonlinearity", "gelu"),
    RefusedKey("encoder_nonlinearity", "gated-gelu"), RefusedKey("use_ffn_bias", true),
    RefusedKey("use_projection_bias_in_attention", true), RefusedKey("use_dropout_outside_residual_path", false),
    RefusedKey("share_encoder_decoder_embedding", false), RefusedKey("use_pre_encoder_decoder_dropout", true),
    RefusedKey("use_transformer_initialization", true), RefusedKey("is_encoder_decoder", true),
    RefusedKey("relative_attention_max_distance", 128),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    for configs in [Self.configs, Self.oldConfigs] {
      configs.checkRefusal(of: refused.key) { try configs.hf([refused.key: refused.value]) }
    }
  }

  /// The key means the opposite since 1.8. A refusal names the value that stands in the file.
  @Test func knowsWhichReleaseTurnedTheFlag() throws {
    let key = "use_pre_encoder_decoder_layer_norm"
    #expect(try Self.configs.hf([key: true])[key] == nil)
    #expect(try Self.oldConfigs.hf([key: false])[key] == nil)
    for (configs, flag) in [(Self.configs, false), (Self.oldConfigs, true)] {
      configs.checkRefusal(of: key) { try configs.hf([key: .bool(flag)]) }
      let message = conversionError { try configs.hf([key: .bool(flag)]) }?.message ?? ""
      #expect(message.contains("\(key)=\(ConfigValue.bool(flag).pythonDescription)"))
    }
    for (older, newer) in [("cs-1.6", "cs-1.8"), ("cs-1.7", "cs-1.8")] {
      for flag in [true, false] {
        #expect(try Self.configs.upgraded([key: .bool(flag), "x": 1], from: older, to: newer)[key] == .bool(!flag))
        #expect(try Self.configs.upgraded([key: .bool(flag), "x": 1], from: newer, to: older)[key] == .bool(!flag))
      }
      #expect(try Self.configs.upgraded(["x": 1], from: older, to: newer) == ["x": 1])
    }
    #expect(try Self.configs.upgraded([key: true], from: "cs-1.6", to: "cs-1.7") == [key: true])
  }

  @Test func warnsOfANormThatHuggingFaceDoesNotHave() throws {
    let route = try Catalogue.route(model: "t5", from: "cs-1.8", to: "hf")
    func warnings(_ value: ConfigValue) throws -> [String] {
      let section = Self.csBase.merging(["use_t5_layer_norm": value]) { $1 }
      return try Planner.plan(config: ["model": .object(section)], along: route).warnings.map(\.subject.description)
    }
    #expect(try warnings(false) == ["use_t5_layer_norm"])
    #expect(try warnings(true) == [])
  }

  /// A config alone does not tell whether the extra words are counted already.
  @Test(arguments: [configs, oldConfigs, newConfigs])
  func takesAConfigAtItsWord(_ configs: ConfigConversion) throws {
    #expect(try configs.hf(["extra_ids": 3])["vocab_size"] == 19)
    #expect(try configs.hf(["extra_ids": 0])["vocab_size"] == 19)
  }

  /// The Model Zoo builds embeddings with `extra_ids` more rows; some files count them in `src_vocab_size` already.
  @Test(
    arguments: ["cs-1.6", "cs-1.8", "cs-2.0", "cs-2.9"],
    [(22, 3, 22), (19, 3, 19), (19, 0, 19)] as [(rows: Int, extra: Int, words: Int)])
  func countsExtraWordsByTheirRows(_ release: String, _ sizes: (rows: Int, extra: Int, words: Int)) throws {
    let hf: ConfigObject = [
      "model_type": "t5", "vocab_size": .int(sizes.rows), "d_model": 4, "d_kv": 2, "d_ff": 6, "num_heads": 2,
      "num_layers": 1,
    ]
    let there = try Catalogue.route(model: "t5", from: "hf", to: release, config: hf)
    let source = try Planner.plan(config: hf, checkpoint: try Planner.described(by: hf, along: there), along: there)
    var document = source.config
    let path = try #require(ModelSection.path(in: document))
    document[at: path.appending("src_vocab_size")] = 19
    document[at: path.appending("tgt_vocab_size")] = 19
    document[at: path.appending("extra_ids")] = .int(sizes.extra)
    let keys = source.tensors.map { ($0.key, $0.tensor.shape as [Int]?) }
    for prefix in release == "cs-1.6" || release == "cs-2.9" ? [""] : ["", "model."] {
      let checkpoint = MemoryCheckpoint(keys.map { (prefix + $0.0, $0.1) }, model: true)
      let plan = try planned("t5", from: release, to: "hf", config: document, checkpoint)
      #expect(plan.config["vocab_size"] == .int(sizes.words))
      #expect(plan.tensor("shared.weight")?.shape == [sizes.words, 4])
    }
    // No other number of rows is a model of these params.
    let other = MemoryCheckpoint(
      keys.map { ($0.0, $0.1?.first == sizes.rows ? [sizes.rows + 1, 4] : $0.1) }, model: true)
    guard release != "cs-1.6" || sizes.extra == 0 else { return }
    let error = conversionError { try planned("t5", from: release, to: "hf", config: document, other) }
    #expect(error?.kind == .stateDictMismatch)
  }

  // MARK: Config, 2.x

  static let newConfigs = ConfigConversion(model: "t5", csBase: csBase, release: "cs-2.9")

  @Test(
    arguments: [
      ("relu", "relu"), ("gelu", "gelu"), ("gated-relu", "reglu"), ("gated-gelu", "geglu"), ("gated-silu", "swiglu"),
    ] as [(ConfigValue, ConfigValue)])
  func mapsActivations(_ hf: ConfigValue, _ cs: ConfigValue) throws {
    let section = try Self.newConfigs.cs(["feed_forward_proj": hf])
    #expect(section["encoder_nonlinearity"] == cs)
    #expect(section["decoder_nonlinearity"] == cs)
    #expect(section["norm_type"] == "rmsnorm")
    #expect(section["name"] == "t5")
    let back = try Self.newConfigs.hf(["encoder_nonlinearity": cs, "decoder_nonlinearity": .null])
    #expect(back["feed_forward_proj"] == hf)
  }

  @Test func refusesOtherModelsOfTheClass() {
    for (key, value) in [
      ("feed_forward_proj", "silu"), ("feed_forward_proj", "gated-tanh"), ("d_kv", .null), ("model_type", "umt5"),
    ] as [(String, ConfigValue)] {
      Self.newConfigs.checkRefusal(of: key) { try Self.newConfigs.cs([key: value]) }
    }
    for (key, value) in [
      ("norm_type", "layernorm"), ("encoder_nonlinearity", "silu"), ("tie_encoder_decoder", true),
      ("attention_module", "multiquery_attention"), ("tgt_vocab_size", 7), ("use_ffn_bias", true),
    ] as [(String, ConfigValue)] {
      Self.newConfigs.checkRefusal(of: key) { try Self.newConfigs.hf([key: value]) }
    }
  }

  @Test func warnsOfTheOtherFormOfAGatedGELU() throws {
    let there = try Catalogue.route(model: "flan-ul2", from: "hf", to: "cs-2.9")
    let gated = try Planner.plan(config: ["model_type": "t5", "feed_forward_proj": "gated-gelu"], along: there)
    #expect(gated.warnings.map(\.subject) == [.config("feed_forward_proj")])
    let plain = try Planner.plan(config: ["model_type": "t5", "feed_forward_proj": "gelu"], along: there)
    #expect(plain.warnings.isEmpty)
  }

  /// Aliases share everything but the name of their class.
  @Test(arguments: [("t5", "t5"), ("ul2", "t5"), ("flan-ul2", "t5"), ("transformer", "transformer")])
  func namesTheClass(_ model: String, _ name: ConfigValue) throws {
    let configs = ConfigConversion(model: model, csBase: Self.csBase, release: "cs-2.9")
    #expect(try configs.cs([:])["name"] == name)
  }

  @Test func namesTheKindOfNorm() throws {
    let upgraded = try Self.configs.upgraded(["use_t5_layer_norm": false], from: "cs-1.8", to: "cs-2.0")
    #expect(upgraded == ["norm_type": "layernorm"])
    #expect(
      try Self.configs.upgraded(["use_t5_layer_norm": true], from: "cs-1.9", to: "cs-2.0")["norm_type"] == "rmsnorm")
    #expect(try Self.configs.upgraded(["d_kv": 2], from: "cs-1.9", to: "cs-2.0") == ["d_kv": 2])
    #expect(
      try Self.configs.upgraded(["norm_type": "rmsnorm"], from: "cs-2.0", to: "cs-1.9")["use_t5_layer_norm"] == true)
    Self.configs.checkRefusal(of: "norm_type") {
      try Self.configs.upgraded(["norm_type": "biasless-layernorm"], from: "cs-2.0", to: "cs-1.9")
    }
  }

  // MARK: Tensors

  /// Hugging Face and, where they differ, the Model Zoo.
  static let layerNames: OrderedDictionary = [
    "encoder.block.0.layer.0.SelfAttention.q.weight": "encoder.layers.0.self_attn.proj_q_dense_layer.weight",
    "encoder.block.0.layer.0.SelfAttention.k.weight": "encoder.layers.0.self_attn.proj_k_dense_layer.weight",
    "encoder.block.1.layer.0.SelfAttention.q.weight": "encoder.layers.1.self_attn.proj_q_dense_layer.weight",
    "encoder.block.0.layer.0.layer_norm.weight": "encoder.layers.0.norm1.weight",
    "encoder.block.0.layer.1.DenseReluDense.wi.weight": "encoder.layers.0.ffn.ffn.0.linear_layer.weight",
    "encoder.block.0.layer.1.DenseReluDense.wo.weight": "encoder.layers.0.ffn.ffn.1.linear_layer.weight",
    "encoder.block.0.layer.1.layer_norm.weight": "encoder.layers.0.norm2.weight",
    "encoder.final_layer_norm.weight": "encoder.norm.weight",
    "decoder.block.0.layer.0.SelfAttention.q.weight": "decoder.layers.0.self_attn.proj_q_dense_layer.weight",
    "decoder.block.0.layer.0.SelfAttention.v.weight": "decoder.layers.0.self_attn.proj_v_dense_layer.weight",
    "decoder.block.0.layer.1.EncDecAttention.o.weight":
      "decoder.layers.0.multihead_attn.proj_output_dense_layer.weight",
    "decoder.block.0.layer.1.layer_norm.weight": "decoder.layers.0.norm2.weight",
    "decoder.block.0.layer.2.DenseReluDense.wi.weight": "decoder.layers.0.ffn.ffn.0.linear_layer.weight",
    "decoder.block.0.layer.2.DenseReluDense.wo.weight": "decoder.layers.0.ffn.ffn.1.linear_layer.weight",
    "decoder.block.0.layer.2.layer_norm.weight": "decoder.layers.0.norm3.weight",
    "decoder.final_layer_norm.weight": "decoder.norm.weight", "lm_head.weight": "lm_head.weight",
  ]
  static let bias = "layer.0.SelfAttention.relative_attention_bias.weight"
  static let hfNames = layerNames.merging(
    [
      "encoder.embed_tokens.weight": "encoder_embeddings.word_embeddings.weight",
      "decoder.embed_tokens.weight": "decoder_embeddings.word_embeddings.weight",
      "encoder.block.0.\(bias)": "relative_position_encoder.relative_attention_bias.weight",
      "decoder.block.0.\(bias)": "relative_position_decoder.relative_attention_bias.weight",
    ]) { $1 }
  static let csConfig: ConfigObject = ["model": .object(csBase)]

  static func checkpoint(_ keys: some Sequence<String>, model: Bool, prefix: String = "") -> MemoryCheckpoint {
    MemoryCheckpoint(keys.map { (prefix + $0, [2, 3]) }, model: model)
  }

  @Test(arguments: ["cs-1.7", "cs-1.8"])
  func renamesEveryKey(_ release: String) throws {
    let source = Self.checkpoint(Array(Self.hfNames.keys) + ["shared.weight"], model: false)
    let plan = try plannedParts("t5", from: "hf", to: release, config: [:], source)
    #expect(plan.keys == Set(Self.hfNames.values))
    for (hf, cs) in Self.hfNames { #expect(try plan.floats(cs, from: source) == source[hf], "\(cs)") }
  }

  @Test(arguments: [("cs-1.7", ""), ("cs-1.8", ""), ("cs-1.8", "model.")])
  func restoresEveryKey(_ release: String, _ prefix: String) throws {
    let source = Self.checkpoint(Self.hfNames.values, model: true, prefix: prefix)
    let plan = try plannedParts("t5", from: release, to: "hf", config: Self.csConfig, source)
    #expect(plan.keys == Set(Self.hfNames.keys).union(["shared.weight"]))
    for (hf, cs) in Self.hfNames { #expect(try plan.floats(hf, from: source) == source[prefix + cs], "\(hf)") }
    let embedding = source[prefix + "decoder_embeddings.word_embeddings.weight"]
    #expect(try plan.floats("shared.weight", from: source) == embedding)
  }

  /// One matrix has up to four names; a file may hold it under one.
  @Test func fillsEmbeddingsFromTheSharedMatrix() throws {
    let source = Self.checkpoint(["shared.weight"], model: false)
    let plan = try plannedParts("t5", from: "hf", to: "cs-1.8", config: [:], source)
    let names = [
      "encoder_embeddings.word_embeddings.weight", "decoder_embeddings.word_embeddings.weight", "lm_head.weight",
    ]
    #expect(plan.keys == Set(names))
    for name in names { #expect(try plan.floats(name, from: source) == source["shared.weight"]) }
    let untied = try plannedParts("t5", from: "hf", to: "cs-1.8", config: ["tie_word_embeddings": false], source)
    #expect(untied.keys == Set(names.dropLast()))
  }

  @Test func copiesTheEmbeddingOfTheEncoderWhereThereIsNoOther() throws {
    let cs = Self.hfNames.values.filter { !$0.hasPrefix("decoder_embeddings") && $0 != "lm_head.weight" }
    let source = Self.checkpoint(cs, model: true)
    for shared in [true, false] {
      var section = Self.csBase
      section["share_embedding_weights"] = .bool(shared)
      let plan = try plannedParts("t5", from: "cs-1.8", to: "hf", config: ["model": .object(section)], source)
      let embedding = source["encoder_embeddings.word_embeddings.weight"]
      #expect(try plan.floats("shared.weight", from: source) == embedding)
      // A strict load asks for every name, also of a matrix that transformers ties.
      #expect(try plan.floats("decoder.embed_tokens.weight", from: source) == embedding)
      #expect((plan.tensor("lm_head.weight") != nil) == shared)
      if shared { #expect(try plan.floats("lm_head.weight", from: source) == embedding) }
    }
  }

  @Test func fillsEmbeddingsThatAreNone() throws {
    let needed = ["relative_position_encoder", "relative_position_decoder"].map {
      (key: "\($0).relative_attention_bias.weight", shape: [2, 3] as [Int]?)
    }
    let source = MemoryCheckpoint(
      needed + [
        ("encoder_embeddings.word_embeddings.weight", nil), ("decoder_embeddings.word_embeddings.weight", nil),
        ("lm_head.weight", [4, 2]),
      ], model: true)
    let plan = try plannedParts("t5", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    for key in ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "shared.weight", "lm_head.weight"] {
      #expect(try plan.floats(key, from: source) == source["lm_head.weight"], "\(key)")
    }
  }

  @Test(arguments: [
    ("encoder_embeddings.position_embeddings.weight", "learned_absolute"),
    ("decoder_embeddings.position_embeddings", "fixed"),
  ])
  func refusesPositionEmbeddings(_ key: String, _ reason: String) throws {
    for (release, prefix) in [("cs-1.7", ""), ("cs-1.8", ""), ("cs-1.8", "model.")] {
      let source = Self.checkpoint(Array(Self.hfNames.values) + [key], model: true, prefix: prefix)
      let error = try #require(
        conversionError { try plannedParts("t5", from: release, to: "hf", config: Self.csConfig, source) })
      #expect(error.kind == .configNotConvertible)
      #expect(error.message.contains(key) && error.message.contains(reason))
    }
  }

  @Test(arguments: ["encoder", "decoder"])
  func needsRelativePositions(_ stack: String) throws {
    let key = "relative_position_\(stack).relative_attention_bias.weight"
    let source = Self.checkpoint(Self.hfNames.values.filter { $0 != key }, model: true)
    for release in ["cs-1.7", "cs-1.8"] {
      let error = try #require(
        conversionError { try plannedParts("t5", from: release, to: "hf", config: Self.csConfig, source) })
      #expect(error.kind == .configNotConvertible)
      #expect(error.message.contains(key))
    }
  }

  // MARK: Releases

  static let oldNames = layerNames.merging(
    [
      "encoder_token_embedding.weight": "encoder_embeddings.word_embeddings.weight",
      "decoder_token_embedding.weight": "decoder_embeddings.word_embeddings.weight",
      "encoder.absolute_position_embedding.weight": "encoder_embeddings.position_embeddings.weight",
      "decoder.absolute_position_embedding": "decoder_embeddings.position_embeddings",
      "encoder.block.0.\(bias)": "relative_position_encoder.relative_attention_bias.weight",
      "decoder.block.0.\(bias)": "relative_position_decoder.relative_attention_bias.weight",
    ]) { $1 }

  /// The relative bias stands in every layer of 1.6, as many as each stack has.
  @Test(arguments: ["t5", "transformer"], ["cs-1.7", "cs-1.8"])
  func renamesBetweenReleases(_ model: String, _ release: String) throws {
    let copies = ["encoder.block.1.\(Self.bias)"]
    let old = Self.checkpoint(
      Array(Self.oldNames.keys) + copies + ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"], model: true)
    let plan = try plannedParts(model, from: "cs-1.6", to: release, config: ["model": [:]], old)
    #expect(plan.keys == Set(Self.oldNames.values))
    for (older, newer) in Self.oldNames { #expect(try plan.floats(newer, from: old) == old[older], "\(newer)") }

    let new = Self.checkpoint(Self.oldNames.values, model: true)
    let back = try plannedParts(model, from: release, to: "cs-1.6", config: ["model": [:]], new)
    #expect(back.keys == Set(Array(Self.oldNames.keys) + copies))
    for (older, newer) in Self.oldNames { #expect(try back.floats(older, from: new) == new[newer], "\(older)") }
    let shared = new["relative_position_encoder.relative_attention_bias.weight"]
    #expect(try back.floats(copies[0], from: new) == shared)
  }

  @Test func passesKeysBetweenTheNewerReleases() throws {
    let plain = Self.checkpoint(["lm_head.weight", "any.key"], model: true)
    let prefixed = Self.checkpoint(["lm_head.weight", "any.key"], model: true, prefix: "model.")
    func keys(_ source: String, _ target: String, _ checkpoint: MemoryCheckpoint) throws -> Set<String> {
      try plannedParts("t5", from: source, to: target, config: ["model": [:]], checkpoint).keys
    }
    #expect(try keys("cs-1.7", "cs-1.8", plain) == ["lm_head.weight", "any.key"])
    #expect(try keys("cs-1.8", "cs-1.7", plain) == ["lm_head.weight", "any.key"])
    #expect(try keys("cs-1.8", "cs-1.7", prefixed) == ["lm_head.weight", "any.key"])
    #expect(try keys("cs-1.7", "cs-1.8", prefixed) == ["model.lm_head.weight", "model.any.key"])
  }

  @Test func walksThroughTheOldestRelease() throws {
    let source = Self.checkpoint(Array(Self.hfNames.keys) + ["shared.weight"], model: false)
    let plan = try plannedParts("t5", from: "hf", to: "cs-1.6", config: [:], source)
    for key in Self.layerNames.keys { #expect(try plan.floats(key, from: source) == source[key]) }
    #expect(
      try plan.floats("encoder_token_embedding.weight", from: source) == source["encoder.embed_tokens.weight"])
  }

  // MARK: Tensors, 2.x

  static let smallHF: ConfigObject = [
    "model_type": "t5", "vocab_size": 5, "d_model": 4, "d_kv": 3, "d_ff": 6, "num_heads": 2, "num_layers": 1,
    "relative_attention_num_buckets": 8,
  ]

  /// A complete model of one layer in each stack.
  static func complete(gated: Bool) -> [(key: String, shape: [Int]?)] {
    var keys: [(key: String, shape: [Int]?)] = [("shared.weight", [5, 4])]
    for stack in ["encoder", "decoder"] {
      var attentions = ["layer.0.SelfAttention"]
      if stack == "decoder" { attentions.append("layer.1.EncDecAttention") }
      for attention in attentions {
        for part in ["q", "k", "v"] { keys.append(("\(stack).block.0.\(attention).\(part).weight", [6, 4])) }
        keys.append(("\(stack).block.0.\(attention).o.weight", [4, 6]))
      }
      let last = attentions.count
      for input in gated ? ["wi_0", "wi_1"] : ["wi"] {
        keys.append(("\(stack).block.0.layer.\(last).DenseReluDense.\(input).weight", [6, 4]))
      }
      keys.append(("\(stack).block.0.layer.\(last).DenseReluDense.wo.weight", [4, 6]))
      for norm in 0...last { keys.append(("\(stack).block.0.layer.\(norm).layer_norm.weight", [4])) }
      keys.append(("\(stack).final_layer_norm.weight", [4]))
      keys.append(("\(stack).block.0.\(bias)", [8, 2]))
    }
    return keys
  }

  @Test(arguments: [true, false]) func renamesACompleteModel(_ gated: Bool) throws {
    var config = Self.smallHF
    if gated { config["feed_forward_proj"] = "gated-silu" }
    let source = MemoryCheckpoint(Self.complete(gated: gated), model: false)
    let plan = try planned("t5", from: "hf", to: "cs-2.9", config: config, source)
    let first = "encoder.block.0.layer.1.DenseReluDense."
    let layer = "encoder.layers.0.ffn.ffn.0."
    #expect(
      try plan.floats(layer + "linear_layer.weight", from: source)
        == source[first + (gated ? "wi_1" : "wi") + ".weight"])
    if gated {
      #expect(try plan.floats(layer + "linear_layer_for_glu.weight", from: source) == source[first + "wi_0.weight"])
    }
    let moved = "decoder_embeddings.position_embed_helper.relative_attention_bias.weight"
    #expect(try plan.floats(moved, from: source) == source["decoder.block.0.\(Self.bias)"])
    #expect(try plan.floats("lm_head.weight", from: source) == source["shared.weight"])
  }

  /// A leftover of old checkpoints, which transformers ignores too.
  @Test func leavesOutTheBiasOfCrossAttention() throws {
    let leftover = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    let source = MemoryCheckpoint(Self.complete(gated: false) + [(leftover, [8, 2])], model: false)
    let plan = try planned("t5", from: "hf", to: "cs-2.9", config: Self.smallHF, source)
    #expect(plan.keys.allSatisfy { !$0.contains("multihead_attn.relative") })
  }

  @Test(
    arguments: [
      ("encoder.block.0.layer.0.SelfAttention.k.weight", nil), ("decoder.final_layer_norm.weight", [5]),
      ("encoder.block.0.\(bias)", nil), ("shared.weight", [6, 4]),
      ("decoder.block.0.layer.2.DenseReluDense.wo.weight", [6, 4]),
    ] as [(String, [Int]?)])
  func noticesWhatIsNotTheModel(_ key: String, _ shape: [Int]?) throws {
    var keys = Self.complete(gated: false).filter { $0.key != key }
    if let shape { keys.append((key, shape)) }
    let source = MemoryCheckpoint(keys, model: false)
    let error = try #require(
      conversionError { try planned("t5", from: "hf", to: "cs-2.9", config: Self.smallHF, source) })
    #expect(error.kind == .stateDictMismatch)
    #expect(error.diagnostics.contains { $0.message.contains(key == "shared.weight" ? "embed_tokens" : key) })
  }

  /// 2.0 demands one matrix under three names, 2.1 moves what has to do with positions.
  @Test func walksThroughTheNewerReleases() throws {
    let (embedding, head) = ("encoder_embeddings.word_embeddings.weight", "lm_head.weight")
    let bias = "relative_position_encoder.relative_attention_bias.weight"
    let source = MemoryCheckpoint(
      [
        (embedding, nil), ("decoder_embeddings.word_embeddings.weight", nil), (head, [5, 4]), (bias, [8, 2]),
        ("encoder_embeddings.position_embeddings.weight", [3, 4]),
      ], model: true)
    let plan = try planned("t5", from: "cs-1.9", to: "cs-2.1", config: ["model": ["d_model": 4]], source)
    #expect(try plan.floats(embedding, from: source) == source[head])
    #expect(
      try plan.floats("encoder_embeddings.position_embed_helper.relative_attention_bias.weight", from: source)
        == source[bias])
    #expect(plan.keys.contains("encoder_embeddings.position_embeddings.embed.weight"))
  }
}
