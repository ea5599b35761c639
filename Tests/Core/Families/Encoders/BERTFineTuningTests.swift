import OrderedCollections
import Testing

@testable import Core

@Suite struct BERTFineTuningTests {
  static func configs(_ model: String) -> ConfigConversion {
    ConfigConversion(model: model, csBase: ["pooler_nonlinearity": "tanh"])
  }

  // MARK: Config

  @Test(arguments: [
    AcceptedKey(
      ["problem_type": "multi_label_classification"],
      [
        "problem_type": "multi_label_classification", "num_labels": 2, "task_dropout": 0.1, "vocab_size": 30522,
        "pooler_nonlinearity": "tanh", "loss_weight": nil,
      ]),
    AcceptedKey(["num_labels": 1], ["num_labels": 1, "problem_type": "regression"]),
    AcceptedKey(["num_labels": 1, "problem_type": .null], ["problem_type": "regression"]),
    AcceptedKey(["id2label": ["0": "a"]], ["num_labels": 1, "problem_type": "regression", "id2label": nil]),
    AcceptedKey(
      ["num_labels": 4, "id2label": ["0": "a"], "problem_type": "single_label_classification"], ["num_labels": 4]),
    AcceptedKey(["classifier_dropout": 0.3, "num_labels": 1], ["task_dropout": 0.3]),
    AcceptedKey(
      ["classifier_dropout": .null, "hidden_dropout_prob": 0.2, "num_labels": 1],
      ["task_dropout": 0.2, "dropout_rate": 0.2]),
  ])
  func convertsSequenceClassifiers(_ accepted: AcceptedKey) throws {
    let configs = Self.configs("bert-sequence-classifier")
    configs.check(try configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [[:], ["problem_type": .null], ["num_labels": 3]] as [ConfigObject])
  func refusesAnUnknownProblem(_ source: ConfigObject) {
    let configs = Self.configs("bert-sequence-classifier")
    configs.checkRefusal(of: "problem_type") { try configs.cs(source) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "num_classes": 2, "encoder_output_dropout_rate": 0.1, "loss_weight": 1.0, "include_padding_in_loss": false,
        "mlm_nonlinearity": "gelu", "num_labels": nil,
      ]),
    AcceptedKey(["id2label": ["0": "a", "1": "b", "2": "c"]], ["num_classes": 3]),
    AcceptedKey(["num_labels": 5, "classifier_dropout": 0], ["num_classes": 5, "encoder_output_dropout_rate": 0]),
  ])
  func convertsTokenClassifiers(_ accepted: AcceptedKey) throws {
    let configs = Self.configs("bert-token-classifier")
    configs.check(try configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    AcceptedKey([:], ["num_labels": nil, "vocab_size": 30522]), AcceptedKey(["num_labels": 2], ["num_labels": nil]),
    AcceptedKey(["id2label": ["0": "a", "1": "b"]], ["num_labels": nil]),
  ])
  func convertsQuestionAnswering(_ accepted: AcceptedKey) throws {
    let configs = Self.configs("bert-qa")
    configs.check(try configs.cs(accepted.source), accepted)
  }

  @Test func refusesQuestionAnsweringWithOtherLabels() {
    let configs = Self.configs("bert-q&a")
    configs.checkRefusal(of: "num_labels") { try configs.cs(["num_labels": 3]) }
    configs.checkRefusal(of: "num_labels") { try configs.cs(["id2label": ["0": "a"]]) }
    configs.checkRefusal(of: "num_labels") { try configs.hf(["num_labels": 2]) }
  }

  @Test func convertsHeadsToHuggingFace() throws {
    let sequence = try Self.configs("bert-sequence-classifier").hf(
      ["task_dropout": 0.2, "num_labels": 3, "problem_type": "single_label_classification"])
    #expect(sequence["classifier_dropout"] == 0.2)
    #expect(sequence["num_labels"] == 3)
    #expect(sequence["architectures"] == ["BertForSequenceClassification"])
    let token = try Self.configs("bert-token-classifier").hf(
      ["encoder_output_dropout_rate": 0.2, "num_classes": 3, "loss_weight": 1.0, "include_padding_in_loss": true])
    #expect(token["classifier_dropout"] == 0.2)
    #expect(token["num_labels"] == 3)
    #expect(token["loss_weight"] == nil)
    #expect(token["include_padding_in_loss"] == nil)
    #expect(try Self.configs("bert-qa").hf([:])["num_labels"] == 2)
  }

  // MARK: Tensors

  @Test(arguments: [
    ("bert-sequence-classifier", "classifier"), ("bert-token-classifier", "classifier"), ("bert-qa", "qa_outputs"),
  ])
  func renamesBodyAndHead(_ model: String, _ head: String) throws {
    let keys = BERTTests.encoderKeys + [("\(head).weight", [2, 4]), ("\(head).bias", [2])]
    let source = MemoryCheckpoint(keys, model: false)
    let config: ConfigObject = model.contains("sequence") ? ["num_labels": 1, "max_position_embeddings": 3] : [:]
    let plan = try plannedParts(model, from: "hf", to: "cs-1.8", config: config, source)
    #expect(try plan.floats("classifier.weight", from: source) == source["\(head).weight"])
    #expect(
      try plan.floats("bert.embed_ln_f.bias", from: source) == source["bert.embeddings.LayerNorm.bias"])

    let back = MemoryCheckpoint(plan.tensors.map { ("model." + $0.key, $0.tensor.shape) }, model: true)
    let restored = try plannedParts(model, from: "cs-1.8", to: "hf", config: BERTTests.csConfig, back)
    #expect(restored.keys == Set(keys.map(\.key)))
    #expect(try restored.floats("\(head).bias", from: back) == back["model.classifier.bias"])
  }

  /// Release 1.6 already called every head `classifier`.
  @Test(arguments: ["bert-sequence-classifier", "bert-token-classifier", "bert-qa", "bert-summarization"])
  func renamesBodiesOfTheOldestRelease(_ model: String) throws {
    let keys = BERTTests.encoderKeys + [("classifier.weight", [2, 4]), ("classifier.bias", [2])]
    let source = MemoryCheckpoint(keys, model: true)
    let plan = try plannedParts(model, from: "cs-1.6", to: "cs-1.7", config: ["model": [:]], source)
    #expect(plan.keys.count == keys.count - 1, "position_ids goes")
    let back = MemoryCheckpoint(plan.tensors.map { ($0.key, $0.tensor.shape) }, model: true)
    let old = try plannedParts(
      model, from: "cs-1.8", to: "cs-1.6", config: ["model": ["max_position_embeddings": 3]], back)
    #expect(old.keys == Set(keys.map(\.key)))
    for key in keys where key.key != "bert.embeddings.position_ids" {
      #expect(old.tensor(key.key)?.shape == key.shape)
    }
  }

  @Test func summarizationHasNoSideAtHuggingFace() throws {
    let error = try #require(
      conversionError { try Catalogue.route(model: "bert-summarization", from: "hf", to: "cs-1.8") })
    #expect(error.kind == .unsupportedPair)
  }
}
