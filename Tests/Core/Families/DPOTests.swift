import OrderedCollections
import Testing

@testable import Core

/// Policy and reference around each decoder: which decoder a config means, what the params say, and what comes back.
@Suite struct DPOTests {
  static let configs = ConfigConversion(
    model: "dpo",
    csBase: [
      "name": "dpo", "model_name": "gpt2", "hidden_size": 8, "num_heads": 2, "filter_size": 12, "dropout_rate": 0.1,
      "dpo": ["beta": 0.25, "reference_free": false],
    ], release: "cs-2.9-dpo")
  static let gpt2: ConfigObject = [
    "model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 2, "n_positions": 6, "vocab_size": 9, "embd_pdrop": 0.1,
    "attn_pdrop": 0.2, "resid_pdrop": 0.3,
  ]

  /// A decoder of Hugging Face.
  struct Decoder: Sendable, CustomTestStringConvertible {
    let name: String
    let config: ConfigObject

    init(_ name: String, _ type: String, _ config: ConfigObject) {
      self.name = name
      let named: ConfigObject = ["model_type": .string(type)]
      self.config = named.merging(config) { $1 }
    }

    var testDescription: String { "\(name): \(ConfigValue.object(config).pythonDescription)" }
  }

  private static let old: ConfigObject = [
    "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 10, "embd_pdrop": 0.1, "attn_pdrop": 0.2,
    "resid_pdrop": 0.3,
  ]
  private static let new: ConfigObject = [
    "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 10,
    "intermediate_size": 24,
  ]
  private static func with(_ base: ConfigObject, _ more: ConfigObject) -> ConfigObject { base.merging(more) { $1 } }

  /// Grouped heads, biases, heads that are tied and heads that are not.
  static let decoders = [
    Decoder("bloom", "bloom", ["hidden_size": 12, "n_head": 3, "n_layer": 2, "vocab_size": 10]),
    Decoder(
      "falcon", "falcon",
      with(new, ["num_kv_heads": 2, "new_decoder_architecture": true, "bias": true, "tie_word_embeddings": false])),
    Decoder("falcon", "falcon", with(new, ["multi_query": true, "bias": false, "tie_word_embeddings": true])),
    Decoder("gpt2", "gpt2", with(old, ["tie_word_embeddings": false])),
    Decoder("gpt2", "gpt2", with(old, ["tie_word_embeddings": true])),
    Decoder("gptj", "gptj", with(old, ["rotary_dim": 2, "tie_word_embeddings": false])),
    Decoder("gpt-neox", "gpt_neox", with(new, ["rotary_pct": 0.5, "tie_word_embeddings": false])),
    Decoder(
      "llama", "llama",
      with(
        new, ["num_key_value_heads": 2, "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": false])),
    Decoder("llama", "llama", with(new, ["num_key_value_heads": 4, "tie_word_embeddings": true])),
    Decoder("mistral", "mistral", with(new, ["num_key_value_heads": 1, "sliding_window": 3])),
    Decoder(
      "santacoder", "gpt2", with(old, ["attention_head_type": "multiquery", "activation_function": "gelu_fast"])),
    Decoder("starcoder", "gpt_bigcode", with(old, ["multi_query": true])),
    Decoder("starcoder", "gpt_bigcode", with(old, ["multi_query": false, "tie_word_embeddings": false])),
  ]

  // MARK: Which decoder

  @Test(arguments: decoders) func paramsNameTheDecoder(_ decoder: Decoder) throws {
    let section = try Self.configs.cs(decoder.config)
    #expect(section["name"] == "dpo")
    #expect(section["model_name"] == .string(decoder.name))
    #expect(section["dpo"] == ["beta": 0.1, "reference_free": false])
    // Whatever the release, the layout is that of 2.9.
    for release in DPO.training(of: DPO.decoders[0]).releases where release.variant == .dpo {
      let other = ConfigConversion(model: "dpo", csBase: [:], release: release.description)
      #expect(try other.cs(decoder.config) == section, "\(release)")
    }
  }

  @Test func everyDecoderIsTried() {
    let names = Catalogue.model(named: "dpo")?.choice?.models.map(\.name)
    #expect(names.map(Set.init) == Set(Self.decoders.map(\.name)))
    #expect(names?.count == 9)
  }

  @Test(
    arguments: [
      (["architectures": ["GPT2LMHeadCustomModel"]], "santacoder"), (["architectures": ["GPT2LMHeadModel"]], "gpt2"),
      (["attention_head_type": "multiquery"], "santacoder"), ([:], "gpt2"),
      (["architectures": ["Other"], "attention_head_type": "multiquery"], "santacoder"),
    ] as [(ConfigObject, String)])
  func tellsTwoModelsOfOneTypeApart(_ keys: ConfigObject, _ name: String) throws {
    let meant = try #require(Catalogue.model(named: "DPO")).meant(by: Self.with(Self.gpt2, keys), in: .hf)
    #expect(meant.bridges[0].hfClass == (name == "gpt2" ? "GPT2LMHeadModel" : "GPT2LMHeadCustomModel"))
  }

  @Test(arguments: ["bert", "mixtral", "gemma2", "gptj2", ""]) func refusesOtherTypes(_ type: String) {
    let config = Self.with(Self.gpt2, ["model_type": .string(type)])
    Self.configs.checkRefusal(of: "model_type") { try Self.configs.cs(config) }
    let message = conversionError { try Self.configs.cs(config) }?.message
    #expect(
      message?.contains(
        "bloom, falcon, RefinedWebModel, RefinedWeb, gpt2, gptj, gpt_neox, llama, mistral, gpt_bigcode") == true)
  }

  @Test(arguments: ["bert", "opt", "gpt3", "gpt_neox", "dpo"] as [ConfigValue] + [1, .null])
  func refusesOtherNames(_ name: ConfigValue) {
    Self.configs.checkRefusal(of: "model_name") { try Self.configs.hf(["model_name": name]) }
    let message = conversionError { try Self.configs.hf(["model_name": name]) }?.message
    #expect(message?.contains("bloom, falcon, gpt2, gptj, gpt-neox, llama, mistral, santacoder, starcoder") == true)
  }

  @Test func refusesConfigsThatNameNone() {
    Self.configs.checkRefusal(of: "model_type") { try Self.configs.cs(["n_embd": 8, "n_head": 2]) }
    Self.configs.checkRefusal(of: "model_name") {
      try Planner.plan(
        config: ["model": ["hidden_size": 8]],
        along: Catalogue.route(
          model: "dpo", from: "cs-2.1-no-dpo", to: "cs-2.1-dpo", config: ["model": ["hidden_size": 8]])
      ).config
    }
    Self.configs.checkRefusal(of: "model_name") { try Self.configs.cs(Self.with(Self.gpt2, ["model_name": "gpt2"])) }
  }

  // MARK: Params

  @Test(arguments: [
    AcceptedKey(["compute_eval_metrics": true], ["compute_eval_metrics": nil, "dpo": nil, "model_name": nil]),
    AcceptedKey([:], ["model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 8, "name": nil]),
    AcceptedKey(
      [
        "model_name": "llama", "norm_type": "rmsnorm", "nonlinearity": "swiglu", "position_embedding_type": "rotary",
        "dropout_rate": 0.0, "rotary_dim": 4,
      ],
      ["model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8]),
    AcceptedKey(
      ["dpo": ["beta": 1, "loss_type": "ipo", "reference_free": true, "disable_dropout": false]], ["dpo": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [RefusedKey("norm_type", "rmsnorm"), RefusedKey("attention_module", "multiquery_attention")])
  func refusesWhatTheDecoderRefuses(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  /// The layouts of params files, of the same model.
  @Test func readsTheTrainerLayoutAndTheSectionOfThePolicy() throws {
    let plain = try Self.configs.hf([:])
    var section = Self.configs.csBase
    func hf(_ section: ConfigObject) throws -> ConfigObject {
      let document: ConfigObject = ["trainer": ["init": ["model": .object(section)]]]
      let route = try Catalogue.route(model: "dpo", from: "cs-2.9-dpo", to: "hf", config: document)
      return try Planner.plan(config: document, along: route).config
    }
    #expect(try hf(section) == plain)
    var policy = section
    for key in ["name", "model_name", "dpo"] { policy[key] = nil }
    policy["name"] = "gpt2"
    section = ["name": "dpo", "dpo": ["beta": 0.1], "policy_model": .object(policy), "compute_eval_metrics": true]
    #expect(try hf(section) == plain)
  }

  @Test func releasesBefore24HaveNoSectionOfThePolicy() throws {
    let section: ConfigObject = [
      "name": "dpo", "dpo": ["beta": 0.1], "policy_model": ["name": "mistral", "hidden_size": 8],
    ]
    let older = try Self.configs.upgraded(section, from: "cs-2.5-dpo", to: "cs-2.3-dpo")
    #expect(older == ["name": "dpo", "dpo": ["beta": 0.1], "model_name": "mistral", "hidden_size": 8])
    #expect(try Self.configs.upgraded(section, from: "cs-2.5-dpo", to: "cs-2.4-dpo") == section)
  }

  @Test func addsAndTakesTheTraining() throws {
    let plain: ConfigObject = ["model_name": "gpt2", "hidden_size": 8]
    let training = try Self.configs.upgraded(plain, from: "cs-2.1-no-dpo", to: "cs-2.1-dpo")
    #expect(training == Self.with(plain, ["dpo": ["beta": 0.1, "reference_free": false]]))
    let named = Self.with(training, ["name": "dpo", "dpo": ["beta": 3]])
    #expect(try Self.configs.upgraded(named, from: "cs-2.1-dpo", to: "cs-2.1-no-dpo") == plain)
    Self.configs.checkRefusal(of: "dpo") {
      try Self.configs.upgraded(training, from: "cs-2.1-no-dpo", to: "cs-2.1-dpo")
    }
    Self.configs.checkRefusal(of: "dpo") { try Self.configs.upgraded(plain, from: "cs-2.1-dpo", to: "cs-2.1-no-dpo") }
  }

  @Test func currentIsTheNewestReleaseOfTheModel() throws {
    let route = try Catalogue.route(model: "dpo", from: "hf", to: "cs-current", config: Self.gpt2)
    #expect(route.target.description == "cs-2.10-dpo")
    #expect(conversionError { try Catalogue.route(model: "dpo", from: "hf", to: "cs-2.9") }?.kind == .unsupportedPair)
    #expect(
      conversionError { try Catalogue.route(model: "dpo", from: "hf", to: "cs-2.2-no-dpo") }?.kind == .unsupportedPair)
  }
}
