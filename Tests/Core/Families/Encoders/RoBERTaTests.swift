import OrderedCollections
import Testing

@testable import Core

@Suite struct RoBERTaTests {
  static let configs = ConfigConversion(model: "roberta", csBase: csBase, release: "cs-2.9")
  static let csBase: ConfigObject = [
    "vocab_size": 5, "hidden_size": 4, "num_heads": 2, "num_hidden_layers": 1, "filter_size": 6,
    "max_position_embeddings": 3, "pad_token_id": 1, "pooler_nonlinearity": "tanh", "mlm_nonlinearity": "gelu",
    "disable_nsp": true, "mask_padding_in_positional_embed": true, "num_segments": 1,
  ]
  static let hfConfig: ConfigObject = [
    "model_type": "roberta", "vocab_size": 5, "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1,
    "intermediate_size": 6, "max_position_embeddings": 5, "pad_token_id": 1, "type_vocab_size": 1,
  ]

  // MARK: Config

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "vocab_size": 50265, "max_position_embeddings": 510, "num_segments": 2, "pad_token_id": 1, "name": "bert",
        "position_embedding_type": "learned", "disable_nsp": true, "mask_padding_in_positional_embed": true,
        "mlm_nonlinearity": "gelu", "pooler_nonlinearity": "tanh", "freeze_ffn_bias_in_glu": nil,
      ]),
    AcceptedKey(
      ["max_position_embeddings": 10, "pad_token_id": 3], ["max_position_embeddings": 6, "pad_token_id": 3]),
    AcceptedKey(["type_vocab_size": 1], ["num_segments": 1]),
    AcceptedKey(["hidden_act": "relu"], ["encoder_nonlinearity": "relu", "mlm_nonlinearity": "gelu"]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "relative_key"), RefusedKey("max_position_embeddings", 2),
    RefusedKey("pad_token_id", -1), RefusedKey("pad_token_id", .null), RefusedKey("is_decoder", true),
    RefusedKey("model_type", "bert"), RefusedKey("hidden_act", "swiglu"),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    let key = refused.value == 2 ? "max_position_embeddings" : refused.key
    Self.configs.checkRefusal(of: key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey([:], ["max_position_embeddings": 5, "type_vocab_size": 1, "pad_token_id": 1, "model_type": "roberta"]),
    AcceptedKey(["num_segments": 0], ["type_vocab_size": 1]),
    AcceptedKey(["num_segments": .null], ["type_vocab_size": 1]),
    AcceptedKey(["pad_token_id": 0], ["max_position_embeddings": 4]),
    AcceptedKey(["encoder_nonlinearity": "relu"], ["hidden_act": "relu"]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("disable_nsp", false), RefusedKey("mask_padding_in_positional_embed", false),
    RefusedKey("mlm_nonlinearity", "relu"), RefusedKey("pooler_nonlinearity", "gelu"), RefusedKey("norm_first", true),
    RefusedKey("mup_base_hidden_size", 2),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  /// The head of 2.x follows the encoder where nothing is said of it.
  @Test func judgesAMissingHeadByTheEncoder() {
    var base = Self.csBase
    base["mlm_nonlinearity"] = nil
    let bare = ConfigConversion(model: "roberta", csBase: base, release: "cs-2.9")
    #expect(throws: Never.self) { try bare.hf([:]) }
    bare.checkRefusal(of: "mlm_nonlinearity") { try bare.hf(["encoder_nonlinearity": "relu"]) }
  }

  // MARK: Tensors

  static let complete: [(key: String, shape: [Int]?)] =
    BERTReleasesTests.complete.filter { $0.key.hasPrefix("bert.") && !$0.key.contains("pooler") }.map { key, shape in
      let shape =
        key.hasSuffix("position_embeddings.weight") ? [5, 4] : key.contains("token_type") ? [1, 4] : shape
      return ("roberta" + key.dropFirst(4), shape)
    } + [
      ("roberta.pooler.dense.bias", [4]), ("lm_head.dense.weight", [4, 4]), ("lm_head.dense.bias", [4]),
      ("lm_head.layer_norm.weight", [4]), ("lm_head.layer_norm.bias", [4]), ("lm_head.bias", [5]),
    ]
  static let bias = "bert_mlm_head.classifier.ffn.0.linear_layer.bias"

  @Test func renamesACompleteModel() throws {
    let source = MemoryCheckpoint(Self.complete, model: false)
    let plan = try planned("roberta", from: "hf", to: "cs-2.9", config: Self.hfConfig, source)
    #expect(try plan.floats(Self.bias, from: source) == source["lm_head.bias"])
    #expect(try plan.floats(BERT.csHead, from: source) == source["roberta.embeddings.word_embeddings.weight"])
    #expect(plan.keys.allSatisfy { !$0.contains("pooler") })
    let back = MemoryCheckpoint(plan.tensors.map { ($0.key, $0.tensor.shape) }, model: true)
    let restored = try planned("roberta", from: "cs-2.9", to: "hf", config: plan.config, back)
    #expect(try restored.floats("lm_head.bias", from: back) == back[Self.bias])
    #expect(try restored.floats("lm_head.decoder.bias", from: back) == back[Self.bias])
    #expect(restored.tensor("roberta.embeddings.position_ids")?.expression == .generate(.positions(count: 5)))
  }

  @Test func fillsAMissingBiasWithZeros() throws {
    let source = MemoryCheckpoint(Self.complete.filter { $0.key != "lm_head.bias" }, model: false)
    let plan = try planned("roberta", from: "hf", to: "cs-2.9", config: Self.hfConfig, source)
    #expect(plan.tensor(Self.bias)?.expression == .generate(.zeros(shape: [5])))
  }

  /// The Model Zoo can do without segments, Hugging Face cannot.
  @Test func addsSegmentsOfZeros() throws {
    let source = MemoryCheckpoint(Self.complete, model: false)
    let forward = try planned("roberta", from: "hf", to: "cs-2.9", config: Self.hfConfig, source)
    let keys = forward.tensors.filter { !$0.key.contains("segment") }.map { ($0.key, $0.tensor.shape as [Int]?) }
    let config: ConfigObject = ["model": .object(Self.csBase.merging(["num_segments": 0]) { $1 })]
    let back = try planned("roberta", from: "cs-2.9", to: "hf", config: config, MemoryCheckpoint(keys, model: true))
    let segments = back.tensor("roberta.embeddings.token_type_embeddings.weight")
    #expect(segments?.expression == .generate(.zeros(shape: [1, 4])))
  }

  /// transformers builds a model with an empty matrix of segments and cannot compute it; the Model Zoo has none then.
  @Test func leavesOutSegmentsOfNoRows() throws {
    let key = "roberta.embeddings.token_type_embeddings.weight"
    let source = MemoryCheckpoint(Self.complete.filter { $0.key != key } + [(key, [0, 4])], model: false)
    let config = Self.hfConfig.merging(["type_vocab_size": 0]) { $1 }
    let plan = try planned("roberta", from: "hf", to: "cs-2.9", config: config, source)
    #expect(plan.keys.allSatisfy { !$0.contains("segment") })
    #expect(plan.config.value(at: "model.num_segments") == 0)
  }

  @Test func countsThePositionsBehindThePadding() throws {
    let key = "roberta.embeddings.position_embeddings.weight"
    let source = MemoryCheckpoint(Self.complete.filter { $0.key != key } + [(key, [3, 4])], model: false)
    let error = try #require(
      conversionError { try planned("roberta", from: "hf", to: "cs-2.9", config: Self.hfConfig, source) })
    #expect(error.diagnostics.contains { $0.subject == .tensor(key) })
  }
}
