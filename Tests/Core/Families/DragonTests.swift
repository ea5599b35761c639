import OrderedCollections
import Testing

@testable import Core

@Suite struct DragonTests {
  static let encoder: ConfigObject = [
    "model_type": "bert", "hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 1, "vocab_size": 17,
    "intermediate_size": 20, "max_position_embeddings": 10,
  ]

  static func cs(_ changes: ConfigObject = [:], to release: String = "cs-2.9") throws -> ConfigObject {
    let config: ConfigObject = [
      "q_encoder": .object(encoder), "ctx_encoder": .object(encoder.merging(changes) { _, new in new }),
    ]
    return try Planner.plan(config: config, along: Catalogue.route(model: "dragon", from: "hf", to: release))
      .config.section(at: "model")
  }

  static func hf(_ changes: ConfigObject) throws -> (config: ConfigObject, warnings: [String]) {
    var section = try cs()
    for (path, value) in changes { section.setValue(value, at: path) }
    let plan = try Planner.plan(
      config: ["model": .object(section)], along: Catalogue.route(model: "dragon", from: "cs-2.9", to: "hf"))
    return (plan.config, plan.warnings.map(\.message))
  }

  @Test(
    arguments: [
      ("name", "dpr"), ("q_encoder.name", "bert_model"), ("ctx_encoder.name", "bert_model"), ("pooler_type", "cls"),
      ("use_biencoder", true), ("mutual_information", false), ("softmax_temperature", 1),
      ("compute_eval_metrics", false),
      ("q_encoder.freeze_ffn_bias_in_glu", false), ("q_encoder.pooler_nonlinearity", "tanh"),
      ("ctx_encoder.hidden_size", 12), ("ctx_encoder.add_pooling_layer", nil),
    ] as [(String, ConfigValue?)])
  func describesBothEncoders(_ path: String, value: ConfigValue?) throws {
    #expect(try Self.cs().value(at: path) == value)
  }

  @Test func olderParamsNameNothing() throws {
    let older = try Self.cs(to: "cs-2.3")
    #expect(older["name"] == nil && older.value(at: "q_encoder.name") == nil)
    let newer = try Planner.plan(
      config: ["model": .object(older)], along: Catalogue.route(model: "dragon", from: "cs-2.3", to: "cs-2.4")
    ).config.section(at: "model")
    #expect(newer["name"] == "dpr")
    #expect(newer.value(at: "q_encoder.name") == "bert_model" && newer.value(at: "ctx_encoder.name") == "bert_model")
  }

  @Test(arguments: [(12, true), (0, false)] as [(ConfigValue, ConfigValue)])
  func carriesTheWidthOfThePooler(_ width: ConfigValue, flag: ConfigValue) throws {
    #expect(try Self.cs(["projection_dim": width]).value(at: "ctx_encoder.add_pooling_layer") == flag)
    let config = try Self.hf(["ctx_encoder.add_pooling_layer": flag]).config
    #expect(config.value(at: "ctx_encoder.projection_dim") == width)
    #expect(config.value(at: "q_encoder.projection_dim") == nil)
    #expect(config.value(at: "q_encoder.architectures") == ["BertModel"])
  }

  @Test(
    arguments: [("projection_dim", 5), ("model_type", "dpr"), ("type_vocab_size", 3), ("is_decoder", true)]
      as [(String, ConfigValue)])
  func refusesOtherEncoders(_ key: String, value: ConfigValue) throws {
    let error = try #require(conversionError { try Self.cs([key: value]) })
    #expect(error.kind == .configNotConvertible)
    #expect(error.diagnostics.contains { $0.subject == .config("ctx_encoder.\(key)") })
  }

  @Test(
    arguments: [
      ("use_biencoder", false), ("encoder", ["hidden_size": 12]), ("q_encoder.norm_first", true),
      ("q_encoder.position_embedding_type", "rotary"),
    ] as [(String, ConfigValue)])
  func refusesOtherModels(_ path: String, value: ConfigValue) throws {
    let error = try #require(conversionError { try Self.hf([path: value]) })
    #expect(error.kind == .configNotConvertible)
    #expect(error.diagnostics.contains { $0.subject == .config(path) })
  }

  @Test func saysThatTheMeanIsLeftToTheUser() throws {
    #expect(try Self.hf(["pooler_type": "mean"]).warnings.contains { $0.contains("their mean") })
    #expect(try !Self.hf([:]).warnings.contains { $0.contains("their mean") })
  }

  /// The pooler is read where the params say so, and no HF model of this kind reads one.
  @Test func writesThePoolerThatIsRead() throws {
    var section = try Self.cs()
    section["pooler_type"] = "ffn_pooler"
    let route = try Catalogue.route(model: "dragon", from: "cs-2.9", to: "hf")
    let described = try Planner.described(by: ["model": .object(section)], along: route)
    guard case .dictionary(var entries, _)? = described["model"], let first = entries.first else { return }
    entries.append(.init(.string("ctx_encoder.pooler.pooler.ffn.0.linear_layer.weight"), first.value))
    let tree = ObjectTree<TensorDescriptor>.dictionary(
      [.init(.string("model"), .dictionary(entries, ordered: true))], ordered: false)
    var options = Planner.Options()
    options.allowIncomplete = true
    func keys(_ pooler: ConfigValue) throws -> Set<String> {
      section["pooler_type"] = pooler
      return try Planner.plan(
        config: ["model": .object(section)], checkpoint: tree, along: route, options: options
      ).keys
    }
    #expect(try keys("ffn_pooler").contains("ctx_encoder.pooler.dense.weight"))
    #expect(try !keys("cls").contains("ctx_encoder.pooler.dense.weight"))
  }
}
