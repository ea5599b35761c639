import OrderedCollections
import Testing

@testable import Core

@Suite struct BERTTests {
  static let configs = ConfigConversion(model: "bert", csBase: ["pooler_nonlinearity": "tanh", "hidden_size": 8])
  static let oldConfigs = ConfigConversion(model: "bert", csBase: ["hidden_size": 8], release: "cs-1.7")

  // MARK: Config, Hugging Face

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_heads": 12, "filter_size": 3072,
        "encoder_nonlinearity": "gelu", "dropout_rate": 0.1, "attention_dropout_rate": 0.1,
        "max_position_embeddings": 512, "layer_norm_epsilon": 1e-12, "share_embedding_weights": true,
        "enable_vts": false, "mixed_precision": true, "pooler_nonlinearity": "tanh", "mlm_nonlinearity": "gelu",
        "position_embedding_type": nil, "initializer_range": nil,
      ]),
    AcceptedKey(["position_embedding_type": "absolute"], ["position_embedding_type": "learned"]),
    AcceptedKey(["tie_word_embeddings": false], ["share_embedding_weights": false]),
    AcceptedKey(["num_attention_heads": 3, "intermediate_size": 20], ["num_heads": 3, "filter_size": 20]),
    AcceptedKey(["hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0.2], ["dropout_rate": 0]),
    AcceptedKey(["layer_norm_eps": 1e-5, "initializer_range": 0.1], ["layer_norm_epsilon": 1e-5]),
    AcceptedKey(["hidden_act": "relu"], ["encoder_nonlinearity": "relu", "mlm_nonlinearity": "relu"]),
    AcceptedKey(["type_vocab_size": 2, "is_decoder": false, "add_cross_attention": false], ["type_vocab_size": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "relative_key"), RefusedKey("type_vocab_size", 1),
    RefusedKey("is_decoder", true), RefusedKey("add_cross_attention", true), RefusedKey("vocab_size", 0),
    RefusedKey("hidden_size", -8),
    // Keys that only the Model Zoo has.
    RefusedKey("disable_nsp", false), RefusedKey("attention_type", "scaled_dot_product"),
    RefusedKey("pooler_nonlinearity", "tanh"), RefusedKey("use_ffn_bias", true),
    RefusedKey("use_ffn_bias_in_mlm", true), RefusedKey("use_output_bias_in_mlm", true),
    RefusedKey("use_ffn_bias_in_attention", true), RefusedKey("use_projection_bias_in_attention", true),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "hidden_size": 8, "tie_word_embeddings": true, "hidden_act": "gelu", "model_type": "bert",
        "architectures": ["BertForPreTraining"], "pooler_nonlinearity": nil, "mixed_precision": nil,
      ]),
    AcceptedKey(["position_embedding_type": "learned"], ["position_embedding_type": "absolute"]),
    AcceptedKey(["encoder_nonlinearity": "relu", "mlm_nonlinearity": "relu"], ["hidden_act": "relu"]),
    AcceptedKey(["num_heads": 2, "filter_size": 6], ["num_attention_heads": 2, "intermediate_size": 6]),
    AcceptedKey(["dropout_rate": 0.0], ["hidden_dropout_prob": 0.0]),
    AcceptedKey(["attention_dropout_rate": 0.3], ["attention_probs_dropout_prob": 0.3]),
    AcceptedKey(["share_embedding_weights": false], ["tie_word_embeddings": false]),
    AcceptedKey(["disable_nsp": false, "use_ffn_bias": true], ["disable_nsp": nil, "use_ffn_bias": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "fixed"), RefusedKey("mlm_nonlinearity", "relu"),
    RefusedKey("pooler_nonlinearity", "gelu"), RefusedKey("disable_nsp", true),
    RefusedKey("attention_type", "dot_product"), RefusedKey("use_projection_bias_in_attention", false),
    RefusedKey("use_ffn_bias_in_attention", false), RefusedKey("use_ffn_bias", false),
    RefusedKey("use_ffn_bias_in_mlm", false), RefusedKey("use_output_bias_in_mlm", false),
    RefusedKey("type_vocab_size", 2), RefusedKey("is_decoder", false), RefusedKey("add_cross_attention", false),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  /// Without a key of its own, the pooler of 1.8 follows the encoder; that of 1.7 is not looked at.
  @Test func judgesAMissingPoolerByTheEncoder() throws {
    let bare = ConfigConversion(model: "bert", csBase: ["hidden_size": 8])
    bare.checkRefusal(of: "pooler_nonlinearity") { try bare.hf([:]) }
    bare.checkRefusal(of: "pooler_nonlinearity") { try bare.hf(["encoder_nonlinearity": "relu"]) }
    #expect(try bare.hf(["encoder_nonlinearity": "tanh"])["hidden_act"] == "tanh")
    #expect(try Self.oldConfigs.hf(["encoder_nonlinearity": "relu"])["hidden_act"] == "relu")
  }

  /// Release 1.7 has no key for the activation of the masked-language head, which is gelu there.
  @Test func warnsWhenReleaseOnePointSevenCannotHoldTheActivation() throws {
    let route = try Catalogue.route(model: "bert", from: "hf", to: "cs-1.7")
    let plan = try Planner.plan(config: ["hidden_act": "relu"], along: route)
    #expect(plan.warnings.contains { $0.subject == .config("hidden_act") && $0.message.contains("cs-1.7") })
    let usual = try Planner.plan(config: ["hidden_act": "gelu"], along: route)
    #expect(usual.warnings.isEmpty)
    let section = try Self.oldConfigs.cs(["hidden_act": "relu"])
    #expect(section["mlm_nonlinearity"] == "gelu")
    #expect(section["pooler_nonlinearity"] == nil)
    #expect(try Self.oldConfigs.cs(["hidden_act": "gelu"])["mlm_nonlinearity"] == nil)
  }

  // MARK: Config, releases

  @Test(arguments: ["cs-1.6", "cs-1.7"])
  func namesTheActivationsOfOlderReleases(_ release: String) throws {
    let section: ConfigObject = [
      "encoder_nonlinearity": "relu", "pooler_nonlinearity": "tanh", "mlm_nonlinearity": "relu", "my_key": 3,
    ]
    let newer = try Self.configs.upgraded(section, from: release, to: "cs-1.8")
    #expect(
      newer == [
        "encoder_nonlinearity": "relu", "pooler_nonlinearity": "relu", "mlm_nonlinearity": "gelu", "my_key": 3,
      ])
    #expect(try Self.configs.upgraded([:], from: release, to: "cs-1.8")["pooler_nonlinearity"] == "gelu")
    #expect(try Self.configs.upgraded(newer, from: "cs-1.8", to: release) == newer)
  }

  @Test(
    arguments: [
      ["encoder_nonlinearity": "gelu", "pooler_nonlinearity": "tanh", "mlm_nonlinearity": "gelu"],
      ["pooler_nonlinearity": "relu", "mlm_nonlinearity": "gelu"],
    ] as [ConfigObject])
  func refusesAPoolerThatOlderReleasesDoNotHave(_ section: ConfigObject) {
    Self.configs.checkRefusal(of: "pooler_nonlinearity") {
      try Self.configs.upgraded(section, from: "cs-1.8", to: "cs-1.7")
    }
  }

  @Test(
    arguments: [
      ["encoder_nonlinearity": "relu", "mlm_nonlinearity": "relu"], ["encoder_nonlinearity": "relu"],
    ] as [ConfigObject])
  func refusesAHeadThatOlderReleasesDoNotHave(_ section: ConfigObject) {
    for release in ["cs-1.6", "cs-1.7"] {
      Self.configs.checkRefusal(of: "mlm_nonlinearity") {
        try Self.configs.upgraded(section, from: "cs-1.8", to: release)
      }
    }
  }

  // MARK: Tensors

  static let hfKeys: [(key: String, shape: [Int]?)] =
    encoderKeys + [
      ("cls.predictions.bias", [5]), ("cls.predictions.transform.dense.weight", [4, 4]),
      ("cls.predictions.transform.dense.bias", [4]), ("cls.predictions.transform.LayerNorm.weight", [4]),
      ("cls.predictions.transform.LayerNorm.bias", [4]), ("cls.predictions.decoder.weight", [5, 4]),
      ("cls.predictions.decoder.bias", [5]), ("cls.seq_relationship.weight", [2, 4]),
      ("cls.seq_relationship.bias", [2]),
    ]
  static let encoderKeys: [(key: String, shape: [Int]?)] = [
    ("bert.embeddings.position_ids", [1, 3]), ("bert.embeddings.word_embeddings.weight", [5, 4]),
    ("bert.embeddings.position_embeddings.weight", [3, 4]), ("bert.embeddings.token_type_embeddings.weight", [2, 4]),
    ("bert.embeddings.LayerNorm.weight", [4]), ("bert.embeddings.LayerNorm.bias", [4]),
    ("bert.encoder.layer.11.attention.self.query.weight", [4, 4]),
    ("bert.encoder.layer.11.attention.self.key.weight", [4, 4]),
    ("bert.encoder.layer.11.attention.self.value.bias", [4]),
    ("bert.encoder.layer.11.attention.output.dense.weight", [4, 4]),
    ("bert.encoder.layer.11.attention.output.LayerNorm.weight", [4]),
    ("bert.encoder.layer.11.intermediate.dense.weight", [6, 4]),
    ("bert.encoder.layer.11.output.dense.bias", [4]), ("bert.encoder.layer.11.output.LayerNorm.bias", [4]),
    ("bert.pooler.dense.weight", [4, 4]), ("bert.pooler.dense.bias", [4]),
  ]
  static let names: OrderedDictionary = [
    "bert.embeddings.word_embeddings.weight": "bert_encoder.embedding_layer.word_embeddings.weight",
    "bert.embeddings.position_embeddings.weight": "bert_encoder.embedding_layer.position_embeddings.weight",
    "bert.embeddings.token_type_embeddings.weight": "bert_encoder.embedding_layer.segment_embeddings.weight",
    "bert.embeddings.LayerNorm.bias": "bert_encoder.embed_ln_f.bias",
    "bert.encoder.layer.11.attention.self.query.weight":
      "bert_encoder.transformer_encoder.layers.11.self_attn.proj_q_dense_layer.weight",
    "bert.encoder.layer.11.attention.self.key.weight":
      "bert_encoder.transformer_encoder.layers.11.self_attn.proj_k_dense_layer.weight",
    "bert.encoder.layer.11.attention.self.value.bias":
      "bert_encoder.transformer_encoder.layers.11.self_attn.proj_v_dense_layer.bias",
    "bert.encoder.layer.11.attention.output.dense.weight":
      "bert_encoder.transformer_encoder.layers.11.self_attn.proj_output_dense_layer.weight",
    "bert.encoder.layer.11.attention.output.LayerNorm.weight":
      "bert_encoder.transformer_encoder.layers.11.norm1.weight",
    "bert.encoder.layer.11.intermediate.dense.weight":
      "bert_encoder.transformer_encoder.layers.11.ffn.ffn.0.linear_layer.weight",
    "bert.encoder.layer.11.output.dense.bias":
      "bert_encoder.transformer_encoder.layers.11.ffn.ffn.1.linear_layer.bias",
    "bert.encoder.layer.11.output.LayerNorm.bias": "bert_encoder.transformer_encoder.layers.11.norm2.bias",
    "bert.pooler.dense.weight": "bert_encoder.pooler.pooler.ffn.0.linear_layer.weight",
    "cls.predictions.transform.dense.weight": "bert_mlm_head.mlm_transform.ffn.ffn.0.linear_layer.weight",
    "cls.predictions.transform.LayerNorm.weight": "bert_mlm_head.mlm_transform.ln.weight",
    "cls.predictions.decoder.weight": "bert_mlm_head.classifier.ffn.0.linear_layer.weight",
    "cls.predictions.decoder.bias": "bert_mlm_head.classifier.ffn.0.linear_layer.bias",
    "cls.seq_relationship.bias": "bert_cls_head.classifier.ffn.0.linear_layer.bias",
  ]
  static let csConfig: ConfigObject = ["model": ["max_position_embeddings": 3, "pooler_nonlinearity": "tanh"]]

  @Test(arguments: ["cs-1.7", "cs-1.8"])
  func renamesEveryKey(_ release: String) throws {
    let source = MemoryCheckpoint(Self.hfKeys, model: false)
    let plan = try plannedParts("bert", from: "hf", to: release, config: [:], source)
    #expect(plan.keys.count == Self.hfKeys.count - 2, "position_ids and one of two biases go")
    for (hf, cs) in Self.names { #expect(try plan.floats(cs, from: source) == source[hf], "\(cs)") }
  }

  @Test(arguments: ["", "model."])
  func restoresEveryKey(_ prefix: String) throws {
    let forward = try plannedParts(
      "bert", from: "hf", to: "cs-1.8", config: [:], MemoryCheckpoint(Self.hfKeys, model: false))
    let source = MemoryCheckpoint(forward.tensors.map { (prefix + $0.key, $0.tensor.shape) }, model: true)
    let plan = try plannedParts("bert", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    #expect(plan.keys == Set(Self.hfKeys.map(\.key)))
    for (hf, cs) in Self.names { #expect(try plan.floats(hf, from: source) == source[prefix + cs], "\(hf)") }
    let head = "bert_mlm_head.classifier.ffn.0.linear_layer.bias"
    #expect(try plan.floats("cls.predictions.bias", from: source) == source[prefix + head])
    #expect(plan.tensor("bert.embeddings.position_ids")?.expression == .generate(.positions(count: 3)))
  }

  @Test func restoresPositionsOnlyBesideAnEmbedding() throws {
    let source = MemoryCheckpoint(["bert_encoder.embed_ln_f.weight": [4]], model: true)
    let plan = try plannedParts("bert", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    #expect(plan.keys == ["bert.embeddings.LayerNorm.weight"])
  }

  @Test func positionsNeedTheirNumber() throws {
    let source = MemoryCheckpoint(["bert_encoder.embedding_layer.position_embeddings.weight": [3, 4]], model: true)
    let error = try #require(
      conversionError {
        try plannedParts("bert", from: "cs-1.7", to: "hf", config: ["model": [:]], source)
      })
    #expect(error.kind == .stateDictMismatch)
    #expect(error.message.contains("max_position_embeddings"))
  }

  @Test(arguments: ["hf", "cs-1.6"])
  func readsOldNamesOfNorms(_ format: String) throws {
    let source = MemoryCheckpoint(
      [
        "bert.embeddings.LayerNorm.gamma": [4], "bert.embeddings.LayerNorm.beta": [4],
        "bert.encoder.layer.0.output.LayerNorm.gamma": [4], "cls.predictions.transform.LayerNorm.beta": [4],
      ], model: format != "hf")
    let plan = try plannedParts(
      "bert", from: format, to: "cs-1.8", config: format == "hf" ? [:] : ["model": [:]], source)
    #expect(plan.keys.count == 4)
    #expect(
      try plan.floats("bert_encoder.embed_ln_f.weight", from: source) == source["bert.embeddings.LayerNorm.gamma"])
    #expect(
      try plan.floats("bert_encoder.embed_ln_f.bias", from: source) == source["bert.embeddings.LayerNorm.beta"])
    #expect(plan.keys.contains("bert_encoder.transformer_encoder.layers.0.norm2.weight"))
    #expect(plan.keys.contains("bert_mlm_head.mlm_transform.ln.bias"))
  }

  @Test(arguments: [["gamma", "weight"], ["weight", "gamma"]])
  func takesTheLaterOfTwoNamesOfANorm(_ names: [String]) throws {
    let keys = names.map { "bert.embeddings.LayerNorm.\($0)" }
    let source = MemoryCheckpoint(keys.map { ($0, [4]) }, model: false)
    let plan = try plannedParts("bert", from: "hf", to: "cs-1.8", config: [:], source)
    #expect(plan.tensors.map(\.key) == ["bert_encoder.embed_ln_f.weight"])
    #expect(plan.tensor("bert_encoder.embed_ln_f.weight")?.expression == .source(keys[1]))
  }

  @Test func takesTheDecoderBiasFromEitherName() throws {
    let source = MemoryCheckpoint(["cls.predictions.bias": [5]], model: false)
    let plan = try plannedParts("bert", from: "hf", to: "cs-1.8", config: [:], source)
    #expect(plan.keys == ["bert_mlm_head.classifier.ffn.0.linear_layer.bias"])
  }

  @Test func fillsTiedEmbeddings() throws {
    let (embedding, head) = (
      "bert_encoder.embedding_layer.word_embeddings.weight", "bert_mlm_head.classifier.ffn.0.linear_layer.weight"
    )
    let source = MemoryCheckpoint([embedding: nil, head: [5, 4]], model: true)
    let plan = try plannedParts("bert", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    #expect(try plan.floats("bert.embeddings.word_embeddings.weight", from: source) == source[head])

    let hf = MemoryCheckpoint(["bert.embeddings.word_embeddings.weight": [5, 4]], model: false)
    #expect(try plannedParts("bert", from: "hf", to: "cs-1.8", config: [:], hf).keys == [embedding, head])
    let untied: ConfigObject = ["tie_word_embeddings": false]
    #expect(try plannedParts("bert", from: "hf", to: "cs-1.8", config: untied, hf).keys == [embedding])
  }

  // MARK: Releases

  /// The oldest release has the names of Hugging Face.
  @Test func walksThroughTheOldestRelease() throws {
    let source = MemoryCheckpoint(Self.hfKeys, model: false)
    let old = try plannedParts("bert", from: "hf", to: "cs-1.6", config: ["max_position_embeddings": 3], source)
    #expect(old.keys == Set(Self.hfKeys.map(\.key)))
    for key in Self.names.keys { #expect(try old.floats(key, from: source) == source[key]) }
  }

  /// Between 1.7 and 1.8 keys pass as they are, a prefix included; on the way to 1.6 or to Hugging Face it goes.
  @Test func keepsThePrefixUntilKeysAreRenamed() throws {
    let key = "model.bert_encoder.embed_ln_f.weight"
    let source = MemoryCheckpoint([key: [4]], model: true)
    #expect(try plannedParts("bert", from: "cs-1.7", to: "cs-1.8", config: ["model": [:]], source).keys == [key])
    #expect(try plannedParts("bert", from: "cs-1.8", to: "cs-1.7", config: ["model": [:]], source).keys == [key])
    let old = try plannedParts("bert", from: "cs-1.8", to: "cs-1.6", config: ["model": [:]], source)
    #expect(old.keys == ["bert.embeddings.LayerNorm.weight"])
    // The tool knows no prefix before 1.8, but a checkpoint that has one can mean nothing else.
    let older = try plannedParts("bert", from: "cs-1.7", to: "cs-1.6", config: ["model": [:]], source)
    #expect(older.keys == ["bert.embeddings.LayerNorm.weight"])
  }
}
