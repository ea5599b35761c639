import OrderedCollections
import Testing

@testable import Core

/// BERT from release 2.0 on.
@Suite struct BERTReleasesTests {
  static let configs = ConfigConversion(
    model: "bert", csBase: ["pooler_nonlinearity": "tanh", "hidden_size": 8], release: "cs-2.9")
  static let hfConfig: ConfigObject = [
    "model_type": "bert", "vocab_size": 5, "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1,
    "intermediate_size": 6, "max_position_embeddings": 3,
  ]

  // MARK: Config

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "freeze_ffn_bias_in_glu": false, "pooler_nonlinearity": "tanh", "mlm_nonlinearity": "gelu", "name": "bert",
        "enable_vts": nil, "mixed_precision": nil, "vocab_size": 30522, "layer_norm_epsilon": 1e-12,
      ]),
    AcceptedKey(
      ["hidden_act": "gelu_pytorch_tanh"], ["encoder_nonlinearity": "gelu_new", "mlm_nonlinearity": "gelu_new"]),
    AcceptedKey(["layer_norm_eps": "1e-5"], ["layer_norm_epsilon": 1e-5]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("model_type", "roberta"), RefusedKey("hidden_act", "geglu"), RefusedKey("tie_word_embeddings", "yes"),
    RefusedKey("hidden_dropout_prob", "much"), RefusedKey("type_vocab_size", 3),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey([:], ["layer_norm_eps": 1e-5, "hidden_act": "gelu", "model_type": "bert"]),
    AcceptedKey(
      [
        "freeze_ffn_bias_in_glu": false, "mlm_nonlinearity": .null, "num_segments": 2, "norm_first": false,
        "embedding_layer_norm": true, "attention_module": "aiayn_attention", "scale_qk_dot_by_d": false,
      ], ["freeze_ffn_bias_in_glu": nil, "mlm_nonlinearity": nil, "num_segments": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("num_segments", 3), RefusedKey("norm_first", true), RefusedKey("embedding_layer_norm", false),
    RefusedKey("use_final_layer_norm", true), RefusedKey("attention_module", "multiquery_attention"),
    RefusedKey("position_embedding_type", "rotary"), RefusedKey("disable_nsp", true),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test func namesTheClassWithoutNextSentences() throws {
    let masked = try Self.configs.hf(["disable_nsp": true, "num_segments": 2])
    #expect(masked["architectures"] == ["BertForMaskedLM"])
    #expect(try Self.configs.hf(["disable_nsp": false])["architectures"] == ["BertForPreTraining"])
    Self.configs.checkRefusal(of: "num_segments") { try Self.configs.hf(["disable_nsp": true, "num_segments": 0]) }
  }

  @Test(
    arguments: [
      ("bert-sequence-classifier", "bert/classifier"), ("bert-token-classifier", "bert/token_classifier"),
      ("bert-qa", "bert-qa"), ("bert-q&a", "bert-qa"),
    ] as [(String, ConfigValue)])
  func namesTheClass(_ model: String, _ name: ConfigValue) throws {
    let configs = ConfigConversion(model: model, csBase: [:], release: "cs-2.4")
    let section = try configs.cs(["model_type": "bert", "problem_type": "single_label_classification"])
    #expect(section["name"] == name)
    #expect(section["freeze_ffn_bias_in_glu"] == nil)
  }

  /// The vendor's tools go straight from the oldest releases to 2.0; the fine-tuned models have no way from 1.8.
  @Test(arguments: [
    ("bert", "1.8", true), ("bert-qa", "1.8", false), ("bert-qa", "1.7", true), ("bert-summarization", "1.6", true),
  ])
  func knowsWhatTheToolsOffer(_ name: String, _ release: String, _ isOffered: Bool) throws {
    let model = try #require(Catalogue.model(named: name))
    let source = try #require(Format("cs-\(release)"))
    let target = try #require(Format("cs-2.0"))
    #expect(model.toolOffers(source, target) == isOffered)
  }

  // MARK: Tensors

  /// A complete model of one layer.
  static let complete: [(key: String, shape: [Int]?)] = {
    var keys = BERTTests.hfKeys.filter { !$0.key.contains("layer.11") }
    let layer = "bert.encoder.layer.0"
    for (name, shape) in [
      ("attention.self.query", [4, 4]), ("attention.self.key", [4, 4]), ("attention.self.value", [4, 4]),
      ("attention.output.dense", [4, 4]), ("intermediate.dense", [6, 4]), ("output.dense", [4, 6]),
      ("attention.output.LayerNorm", [4]), ("output.LayerNorm", [4]),
    ] {
      keys.append(("\(layer).\(name).weight", shape))
      keys.append(("\(layer).\(name).bias", [shape[0]]))
    }
    return keys
  }()

  @Test func renamesACompleteModel() throws {
    let source = MemoryCheckpoint(Self.complete, model: false)
    let plan = try planned("bert", from: "hf", to: "cs-2.10", config: Self.hfConfig, source)
    #expect(plan.keys.count == Self.complete.count - 2, "position_ids and one of two biases go")
    #expect(
      try plan.floats("bert_encoder.embedding_layer.position_embeddings.embed.weight", from: source)
        == source["bert.embeddings.position_embeddings.weight"])
    let back = MemoryCheckpoint(plan.tensors.map { ("model." + $0.key, $0.tensor.shape) }, model: true)
    let restored = try planned("bert", from: "cs-2.3", to: "hf", config: plan.config, back)
    #expect(restored.keys == Set(Self.complete.map(\.key)))
  }

  @Test(
    arguments: [
      ("bert.encoder.layer.0.attention.self.key.bias", nil), ("bert.encoder.layer.0.output.dense.weight", [6, 4]),
      ("bert.embeddings.position_embeddings.weight", [4, 4]), ("bert.embeddings.LayerNorm.weight", nil),
      ("bert.embeddings.token_type_embeddings.weight", [3, 4]), ("cls.predictions.transform.dense.bias", nil),
      ("bert.encoder.layer.1.output.dense.bias", [4]),
    ] as [(String, [Int]?)])
  func noticesWhatIsNotTheModel(_ key: String, _ shape: [Int]?) throws {
    var keys = Self.complete.filter { $0.key != key }
    if let shape { keys.append((key, shape)) }
    let source = MemoryCheckpoint(keys, model: false)
    let error = try #require(
      conversionError { try planned("bert", from: "hf", to: "cs-2.9", config: Self.hfConfig, source) })
    #expect(error.kind == .stateDictMismatch)
    #expect(error.diagnostics.contains { $0.subject == .tensor(key) })
  }

  /// A model that was trained on masked words alone has no next-sentence head, and an old file of it may hold a pooler. The
  /// class builds neither where it is told so, and has two segments where it is told that.
  @Test(arguments: [true, false], ["cs-2.0", "cs-2.2", "cs-2.9"])
  func takesAModelWithoutNextSentences(_ hasPooler: Bool, _ release: String) throws {
    let keys = Self.complete.filter {
      !$0.key.contains("seq_relationship") && (hasPooler || !$0.key.contains("pooler"))
    }
    let plan = try planned(
      "bert", from: "hf", to: release, config: Self.hfConfig, MemoryCheckpoint(keys, model: false))
    #expect(plan.keys.allSatisfy { !$0.contains("cls_head") && !$0.contains("pooler") })
    let section = ModelSection.path(in: plan.config).flatMap { plan.config[at: $0] }
    guard case .object(let params)? = section else { throw RuleFailure("no section") }
    #expect(params["disable_nsp"] == true)
    #expect(params["num_segments"] == 2)
    let back = MemoryCheckpoint(plan.tensors.map { ($0.key, $0.tensor.shape) }, model: true)
    let restored = try planned("bert", from: release, to: "hf", config: plan.config, back)
    #expect(restored.config["architectures"] == ["BertForMaskedLM"])
    #expect(restored.keys == Set(keys.map(\.key).filter { !$0.contains("pooler") }))
  }

  @Test func namesTheClassThatMakesWhatIsMissing() throws {
    let keys = Self.complete.filter { !$0.key.contains("cls.predictions") }
    var config = Self.hfConfig
    config["architectures"] = ["BertForNextSentencePrediction"]
    let source = MemoryCheckpoint(keys, model: false)
    let error = try #require(conversionError { try planned("bert", from: "hf", to: "cs-2.9", config: config, source) })
    #expect(error.kind == .stateDictMismatch)
    #expect(error.message.hasPrefix("'architectures' of the config is BertForNextSentencePrediction"))
    #expect(error.message.contains("BertForPreTraining"))
    #expect(error.diagnostics.contains { $0.subject == .tensor("cls.predictions.transform.dense.weight") })
  }

  // MARK: Releases

  @Test func movesPositionsAndFillsTies() throws {
    let position = "bert_encoder.embedding_layer.position_embeddings"
    let source = MemoryCheckpoint(
      [
        (BERT.csWords, nil), (BERT.csHead, [5, 4]), ("\(position).weight", [3, 4]),
        ("bert.embedding_layer.position_embeddings", [3, 4]),
      ],
      model: true)
    let plan = try planned("bert", from: "cs-1.8", to: "cs-2.1", config: ["model": [:]], source)
    #expect(try plan.floats(BERT.csWords, from: source) == source[BERT.csHead])
    #expect(plan.keys.contains("\(position).embed.weight"))
    #expect(plan.keys.contains("bert.embedding_layer.position_embeddings.fpe"))
    let untied = try planned(
      "bert", from: "cs-1.8", to: "cs-2.0", config: ["model": ["share_embedding_weights": false]], source)
    #expect(untied.tensor(BERT.csWords) == nil)
  }
}
