import OrderedCollections
import Testing

@testable import Core

@Suite struct LLaVATests {
  static let image: ConfigObject = [
    "model_type": "clip_vision_model", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 3,
    "image_size": 8, "patch_size": 4, "intermediate_size": 14, "projection_dim": 7,
  ]
  static let text: ConfigObject = [
    "model_type": "llava", "hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 1, "vocab_size": 17,
    "intermediate_size": 20, "mm_hidden_size": 8,
  ]

  /// The Model Zoo section of two folders.
  static func cs(
    _ model: String = "llava", image: ConfigObject = [:], text: ConfigObject = [:], to release: String = "cs-2.9"
  ) throws -> ConfigObject {
    let config: ConfigObject = [
      "image_model": .object(Self.image.merging(image) { _, new in new }),
      "text_model": .object(Self.text.merging(text) { _, new in new }),
    ]
    let plan = try Planner.plan(config: config, along: Catalogue.route(model: model, from: "hf", to: release))
    return plan.config.section(at: "model")
  }

  /// The Hugging Face configs of a Model Zoo section that two folders gave, changed at some paths; nil takes a key away.
  static func hf(
    _ changes: OrderedDictionary<String, ConfigValue?> = [:], model: String = "llava", release: String = "cs-2.9",
    layout: HuggingFaceLayout = .folders
  ) throws -> ConfigObject {
    var section = try cs(model, to: release)
    for (path, value) in changes {
      if let value { section.setValue(value, at: path) } else { section.removeValue(at: path) }
    }
    return try Planner.plan(
      config: ["model": .object(section)], along: Catalogue.route(model: model, from: release, to: "hf", layout: layout)
    ).config
  }

  private func checkRefusal(of key: String, _ body: () throws -> ConfigObject) {
    guard let error = conversionError(body) else { return }
    #expect(error.kind == .configNotConvertible)
    #expect(error.diagnostics.contains { $0.subject == .config(key) && $0.severity == .error }, "\(error.diagnostics)")
  }

  // MARK: To the Model Zoo

  @Test(
    arguments: [
      ("image_model.name", "ViTModel"), ("text_model.name", "LlamaModel"), ("name", "llava"),
      ("image_model.image_size", [8, 8]), ("image_model.num_classes", nil), ("text_model.norm_first", nil),
      ("projector.image_model.name", "FeedForwardNetwork"), ("projector.image_model.input_unit", 8),
      ("projector.image_model.layers_units", [12, 12]), ("projector.image_model.layers_activation", ["gelu", nil]),
      ("projector.image_model.use_bias", true), ("image_feature_select_layer_idx", -2),
      ("image_feature_select_mode", "patch"), ("freeze", ["^image_model"]), ("image_start_idx", 1),
      ("loss_scaling", "num_tokens"), ("loss_weight", 1.0), ("label_smoothing", nil), ("z_loss_eps", nil),
    ] as [(String, ConfigValue?)])
  func describesTheWhole(_ path: String, value: ConfigValue?) throws {
    #expect(try Self.cs().value(at: path) == value)
  }

  @Test(
    arguments: [
      ("mm_vision_select_layer", 1, "image_feature_select_layer_idx", 0),
      ("mm_vision_select_layer", 3, "image_feature_select_layer_idx", 2),
      ("mm_vision_select_layer", -3, "image_feature_select_layer_idx", -3),
      ("mm_vision_select_feature", "cls_patch", "image_feature_select_mode", "cls_patch"),
      ("tune_mm_mlp_adapter", true, "freeze", ["^image_model", "^text_model"]),
      ("mm_projector_type", "mlp1x_gelu", "projector.image_model.layers_activation", [nil]),
      ("mm_projector_type", "mlp3x_gelu", "projector.image_model.layers_units", [12, 12, 12]),
      ("num_key_value_heads", 1, "text_model.extra_attention_params.num_kv_groups", 1),
      ("model_type", "llama", "text_model.hidden_size", 12),
      ("mm_patch_merge_type", "flat", "text_model.hidden_size", 12),
    ] as [(String, ConfigValue, String, ConfigValue)])
  func translatesTheTextModel(_ key: String, value: ConfigValue, path: String, expected: ConfigValue) throws {
    #expect(try Self.cs(text: [key: value]).value(at: path) == expected)
  }

  @Test(
    arguments: [
      ("mm_vision_select_layer", 0), ("mm_vision_select_layer", 4), ("mm_vision_select_layer", -4),
      ("mm_vision_select_feature", "pooled"), ("mm_projector_type", "linear"), ("mm_projector_type", "mlp9x_gelu"),
      ("mm_projector_type", "mlp0x_gelu"), ("mm_projector_type", "mlp2x_relu"), ("mm_hidden_size", 9),
      ("mm_use_im_start_end", true), ("mm_use_im_patch_token", true), ("model_type", "llava_mistral"),
      ("mm_patch_merge_type", "spatial_unpad"), ("num_key_value_heads", 2), ("hidden_act", "tanh"),
      ("quantization_config", ["bits": 4]),
    ] as [(String, ConfigValue)])
  func refusesOtherTextModels(_ key: String, value: ConfigValue) {
    checkRefusal(of: "text_model.\(key)") { try Self.cs(text: [key: value]) }
  }

  @Test(
    arguments: [
      ("hidden_act", "no such function"), ("model_type", "siglip_vision_model"), ("image_size", 0),
      ("quantization_config", ["bits": 4]),
    ] as [(String, ConfigValue)])
  func refusesOtherImageModels(_ key: String, value: ConfigValue) {
    checkRefusal(of: "image_model.\(key)") { try Self.cs(image: [key: value]) }
  }

  @Test func takesTheTowerOfAWholeCLIP() throws {
    let config: ConfigObject = [
      "image_model": [
        "model_type": "clip", "projection_dim": 5, "text_config": ["hidden_size": 3],
        "vision_config": .object(Self.image),
      ], "text_model": .object(Self.text),
    ]
    let plan = try Planner.plan(config: config, along: Catalogue.route(model: "llava", from: "hf", to: "cs-2.9"))
    #expect(plan.config.section(at: "model") == (try Self.cs()))
  }

  @Test func olderReleasesKeepWhatTheirToolWrites() throws {
    let section = try Self.cs(to: "cs-2.2")
    #expect(section.value(at: "image_model.num_classes") == 7)
    #expect(section.value(at: "image_model.use_bias_in_output") == false)
    #expect(section["label_smoothing"] == 0.0 && section["z_loss_eps"] == 0.0)
    #expect(section["name"] == nil)
  }

  // MARK: To Hugging Face

  @Test func writesTheConfigOfEachFolder() throws {
    let config = try Self.hf(release: "cs-2.3")
    #expect(Array(config.keys) == ["image_model", "text_model"])
    #expect(config.value(at: "image_model.model_type") == "clip_vision_model")
    #expect(config.value(at: "image_model.architectures") == ["CLIPVisionModel"])
    #expect(config.value(at: "image_model.projection_dim") == 7)
    #expect(config.value(at: "text_model.model_type") == "llava")
    #expect(config.value(at: "text_model.architectures") == ["LlavaLlamaForCausalLM"])
    #expect(config.value(at: "text_model.mm_projector_type") == "mlp2x_gelu")
    #expect(config.value(at: "text_model.mm_hidden_size") == 8)
    // The name of the component, and no path of the machine.
    #expect(config.value(at: "text_model.mm_vision_tower") == "image_model")
  }

  @Test(
    arguments: [
      ("image_feature_select_layer_idx", 0, "text_model.mm_vision_select_layer", 1),
      ("image_feature_select_layer_idx", nil, "text_model.mm_vision_select_layer", -1),
      ("image_feature_select_layer_idx", .some(.null), "text_model.mm_vision_select_layer", -1),
      // The class takes it modulo the number of layers.
      ("image_feature_select_layer_idx", 4, "text_model.mm_vision_select_layer", 2),
      ("image_feature_select_layer_idx", -4, "text_model.mm_vision_select_layer", 3),
      ("image_feature_select_mode", nil, "text_model.mm_vision_select_feature", "patch"),
      ("freeze", ["^image_model", "^text_model"], "text_model.tune_mm_mlp_adapter", true),
      ("freeze", ["text_model"], "text_model.tune_mm_mlp_adapter", true),
      ("freeze", ["^image_model"], "text_model.tune_mm_mlp_adapter", false),
      ("freeze", nil, "text_model.tune_mm_mlp_adapter", false),
      ("freeze", .some(.null), "text_model.tune_mm_mlp_adapter", false),
      ("projector.image_model.name", "MLP", "text_model.mm_projector_type", "mlp2x_gelu"),
      ("image_model.name", "vit", "image_model.hidden_size", 8),
      ("text_model.name", "llama", "text_model.hidden_size", 12),
    ] as [(String, ConfigValue?, String, ConfigValue)])
  func translatesBack(_ path: String, value: ConfigValue?, key: String, expected: ConfigValue) throws {
    #expect(try Self.hf([path: value]).value(at: key) == expected)
  }

  @Test(
    arguments: [
      ("projector.image_model.layers_activation", ["gelu", "gelu"]), ("projector.image_model.layers_units", [12, 13]),
      ("projector.image_model.layers_units", []), ("projector.image_model.input_unit", 9),
      ("projector.image_model.name", "QFormer"), ("text_model.name", "T5ForConditionalGeneration"),
      ("image_model.name", "ResNet"), ("projector.text_model", ["name": "FeedForwardNetwork"]),
      ("image_feature_select_mode", "cls"), ("image_model.mup_base_hidden_size", 4),
      ("image_model.scale_qk_dot_by_d", true),
      ("text_model.extra_ffn_params.static_dual_expert", true), ("text_model.position_embedding_type", "learned"),
      ("image_model.image_size", [8, 9]), ("image_model.prepend_cls_token", false),
    ] as [(String, ConfigValue)])
  func refusesOtherSections(_ path: String, value: ConfigValue) {
    checkRefusal(of: path) { try Self.hf([path: value]) }
  }

  /// The scales of a muP text model go into its weights, and into nothing else.
  @Test(arguments: ["llava", "mmsimple-llava"], HuggingFaceLayout.allCases)
  func foldsTheTextModel(_ model: String, _ layout: HuggingFaceLayout) throws {
    var section = try Self.cs(model)
    for (key, value) in [
      ("mup_base_hidden_size", 6), ("mup_base_filter_size", 10), ("embeddings_scale", 3.0), ("scale_qk_dot_by_d", true),
    ] as [(String, ConfigValue)] { section.setValue(value, at: "text_model.\(key)") }
    let document: ConfigObject = ["model": .object(section)]
    let route = try Catalogue.route(model: model, from: "cs-2.9", to: "hf", layout: layout)
    let plan = try Planner.plan(
      config: document, checkpoint: try Planner.described(by: document, along: route), along: route)
    let (text, image) = layout == .folders ? ("text_model", "image_model") : ("language_model", "vision_tower")
    func source(_ key: String, _ shape: [Int]) -> SymbolicTensor {
      SymbolicTensor(source: "text_model.\(key)", dtype: .float32, shape: shape)
    }
    let words = source("embedding_layer.word_embeddings.weight", [17, 12])
    #expect(plan.tensor("\(text).model.embed_tokens.weight")?.expression == words.mapped(.multiply(3)).expression)
    let head = source("lm_head.weight", [17, 12])
    #expect(plan.tensor("\(text).lm_head.weight")?.expression == head.mapped(.multiply(0.5)).expression)
    let output = source("transformer_decoder.layers.0.self_attn.proj_output_dense_layer.weight", [12, 12])
    #expect(plan.tensor("\(text).model.layers.0.self_attn.o_proj.weight")?.expression == output.expression)
    let divided = plan.tensors.filter { "\($0.tensor.expression)".contains("divide") }.map(\.key)
    #expect(divided == ["\(text).model.layers.0.self_attn.k_proj.weight"])
    #expect(plan.tensor("\(image).vision_model.encoder.layers.0.self_attn.k_proj.weight") != nil)
    let config = plan.config.section(at: layout == .folders ? "text_model" : "text_config")
    #expect(config.keys.allSatisfy { !$0.contains("mup") && !$0.contains("scale_qk") })
    #expect(config["hidden_size"] == 12)
  }

  /// The folders say one kind of projector only.
  @Test(arguments: [("use_bias", false), ("layers_activation", ["relu", nil])] as [(String, ConfigValue)])
  func otherProjectorsGoIntoOneCheckpoint(_ key: String, value: ConfigValue) throws {
    let path = "projector.image_model.\(key)"
    checkRefusal(of: "projector.image_model") { try Self.hf([path: value]) }
    let config = try Self.hf([path: value], layout: .oneCheckpoint)
    #expect(config["multimodal_projector_bias"] == .bool(key != "use_bias"))
    #expect(config["projector_hidden_act"] == (key == "use_bias" ? "gelu" : "relu"))
  }

  @Test func derivesThePreprocessor() throws {
    let route = try Catalogue.route(model: "llava", from: "cs-2.9", to: "hf")
    let plan = try Planner.plan(config: ["model": .object(try Self.cs())], along: route)
    #expect(plan.folders == ["image_model", "text_model"])
    let document = try #require(plan.documents.first)
    #expect(plan.documents.count == 1)
    #expect(document.component == "image_model" && document.name == "preprocessor_config.json")
    #expect(document.content["size"] == 8)
    #expect(document.content["crop_size"] == ["height": 8, "width": 8])
  }

  // MARK: One checkpoint

  @Test func writesOneConfigOfTransformers() throws {
    let config = try Self.hf(layout: .oneCheckpoint)
    #expect(config["architectures"] == ["LlavaForConditionalGeneration"] && config["model_type"] == "llava")
    #expect(config.value(at: "text_config.model_type") == "llama")
    #expect(config.value(at: "vision_config.model_type") == "clip_vision_model")
    #expect(config["vision_feature_layer"] == -2 && config["vision_feature_select_strategy"] == "default")
    #expect(config["image_seq_length"] == 4)
    let again = try Self.packed(config)
    // Which parts are trained is not in it.
    #expect(ConfigValue.object(again).isEqualInPython(.object(try Self.cs())))
  }

  private static func packed(_ config: ConfigObject, model: String = "llava") throws -> ConfigObject {
    let route = try Catalogue.route(model: model, from: "hf", to: "cs-2.9", layout: .oneCheckpoint)
    return try Planner.plan(config: config, along: route).config.section(at: "model")
  }

  @Test(
    arguments: [
      ("vision_feature_layer", [-2, -5]), ("vision_feature_layer", 0), ("vision_feature_select_strategy", "patch"),
      ("projector_hidden_act", "no such"), ("model_type", "llava_next"), ("text_config.model_type", "mistral"),
      ("vision_config.model_type", "siglip_vision_model"),
    ] as [(String, ConfigValue)])
  func refusesOtherCheckpoints(_ path: String, value: ConfigValue) throws {
    var config = try Self.hf(layout: .oneCheckpoint)
    config.setValue(value, at: path)
    checkRefusal(of: path) { try Self.packed(config) }
  }

  @Test func onlyComposedModelsOfTransformersHaveOneCheckpoint() {
    for model in ["dragon", "gpt2"] {
      let error = conversionError {
        try Catalogue.route(model: model, from: "cs-2.9", to: "hf", layout: .oneCheckpoint)
      }
      #expect(error?.kind == .usage)
      #expect(error?.message.contains("llava and mmsimple-llava") ?? false)
    }
  }

  // MARK: The multimodal class

  @Test(arguments: [("cs-2.3", "image_model.0"), ("cs-2.4", "image_encoder"), ("cs-2.9", "image_encoder")])
  func keepsTheImageModelInAList(_ release: String, place: String) throws {
    let section = try Self.cs("mmsimple-llava", to: release)
    let encoder = "image_model_list.image_models.0.\(place)"
    #expect(section.value(at: "\(encoder).name") == "ViTModel")
    #expect(section.value(at: "\(encoder).image_layer_idx") == -2)
    #expect(section.value(at: "image_model_list.image_feature_select_mode") == "patch")
    #expect(section.value(at: "image_model_list.global_image_projection.layers_units") == [12, 12])
    #expect(section["image_start_idx"] == nil && section["projector"] == nil && section["image_model"] == nil)
    #expect(section["name"] == (release == "cs-2.3" ? nil : "multimodal_simple"))
    let config = try Self.hf(model: "mmsimple-llava", release: release)
    #expect(config.value(at: "image_model.hidden_size") == 8)
    #expect(config.value(at: "text_model.mm_vision_select_layer") == -2)
  }

  @Test func renamesTheImageModelBetweenReleases() throws {
    let older = try Self.cs("mmsimple-llava", to: "cs-2.3")
    func plan(_ section: ConfigObject, _ source: String, _ target: String) throws -> ConfigObject {
      try Planner.plan(
        config: ["model": .object(section)], along: Catalogue.route(model: "mmsimple-llava", from: source, to: target)
      ).config.section(at: "model")
    }
    let newer = try plan(older, "cs-2.3", "cs-2.4")
    #expect(newer.value(at: "image_model_list.image_models.0.image_encoder.hidden_size") == 8)
    #expect(newer.value(at: "image_model_list.image_models.0.image_model") == nil)
    var back = try plan(newer, "cs-2.4", "cs-2.3")
    back["name"] = nil
    #expect(ConfigValue.object(back).isEqualInPython(.object(older)))
  }

  @Test func refusesSeveralImageModels() throws {
    let list = "image_model_list.image_models"
    let models = try #require(try Self.cs("mmsimple-llava").value(at: list))
    guard case .array(let one) = models else { return }
    for changed in [.array(one + one), .array([]), ["image_encoder": [:]]] as [ConfigValue] {
      checkRefusal(of: list) { try Self.hf([list: changed], model: "mmsimple-llava") }
    }
    checkRefusal(of: "\(list).0.projection_layer") {
      try Self.hf(["\(list).0.projection_layer": ["name": "MLP"]], model: "mmsimple-llava")
    }
  }
}
