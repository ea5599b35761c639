import OrderedCollections
import Testing

@testable import Core

@Suite struct CLIPVisionTests {
  static let configs = ConfigConversion(model: "clip-vit", csBase: csBase, release: "cs-2.9")
  static let csBase: ConfigObject = [
    "image_size": [8, 8], "patch_size": [4, 4], "hidden_size": 4, "num_heads": 2, "num_hidden_layers": 1,
    "filter_size": 6, "num_classes": 3, "nonlinearity": "quick_gelu",
  ]

  // MARK: Config

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "image_size": [224, 224], "patch_size": [32, 32], "num_classes": 512, "nonlinearity": "quick_gelu",
        "name": "vision_transformer", "use_post_embed_layer_norm": true, "prepend_cls_token": true, "norm_first": true,
        "use_bias_in_output": false, "use_embed_proj_bias": false, "dropout_rate": 0.0,
        "use_encoder_pooler_layer": false, "use_conv_patchified_embedding": true, "position_embedding_type": "learned",
        "attention_type": "scaled_dot_product", "layer_norm_epsilon": 1e-5,
      ]),
    AcceptedKey(["image_size": 8, "patch_size": 4], ["image_size": [8, 8], "patch_size": [4, 4]]),
    AcceptedKey(["hidden_act": "gelu_pytorch_tanh"], ["nonlinearity": "gelu_new"]),
    AcceptedKey(
      ["hidden_act": "silu", "attention_dropout": 0.1], ["nonlinearity": "silu", "attention_dropout_rate": 0.1]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("image_size", 0), RefusedKey("image_size", [8, 8]), RefusedKey("hidden_act", "swiglu"),
    RefusedKey("model_type", "vit"),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      ["image_size": 8, "patch_size": 4, "projection_dim": 3, "model_type": "clip_vision_model", "dropout_rate": nil]),
    AcceptedKey(["nonlinearity": "gelu_new"], ["hidden_act": "gelu_pytorch_tanh"]),
    AcceptedKey(["nonlinearity": "gelu", "dropout_rate": 0.5], ["hidden_act": "gelu"]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("image_size", [8, 4]), RefusedKey("patch_size", 4), RefusedKey("patch_size", [4, 4, 4]),
    RefusedKey("nonlinearity", "swiglu"), RefusedKey("use_bias_in_output", true),
    RefusedKey("use_post_embed_layer_norm", false), RefusedKey("prepend_cls_token", false),
    RefusedKey("norm_first", false), RefusedKey("use_encoder_pooler_layer", true),
    RefusedKey("use_embed_proj_bias", true), RefusedKey("position_embedding_type", "fixed"),
    RefusedKey("use_conv_patchified_embedding", false),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  // MARK: Tensors

  static let position = "vision_model.embeddings.position_embedding.weight"
  static let csPosition = "vit_model.embedding_layer.position_embeddings.weight"
  static let hfConfig: ConfigObject = [
    "image_size": 9, "patch_size": 4, "hidden_size": 2, "num_attention_heads": 2, "num_hidden_layers": 1,
    "intermediate_size": 6, "projection_dim": 3,
  ]

  /// The class token stands first in Hugging Face and last in the Model Zoo.
  @Test func movesThePositionOfTheClassToken() throws {
    let source = MemoryCheckpoint([Self.position: [5, 2]], model: false)
    let plan = try plannedParts("clip-vit", from: "hf", to: "cs-2.9", config: Self.hfConfig, source)
    let values = source[Self.position]
    #expect(try plan.floats(Self.csPosition, from: source) == Array(values[2...] + values[..<2]))
    let cs = MemoryCheckpoint([Self.csPosition: [5, 2]], model: true)
    let back = try plannedParts("clip-vit", from: "cs-2.9", to: "hf", config: plan.config, cs)
    let rows = cs[Self.csPosition]
    #expect(try back.floats(Self.position, from: cs) == Array(rows[8...] + rows[..<8]))
  }

  @Test func renamesTheOtherParts() throws {
    let names = [
      "vision_model.embeddings.class_embedding": "vit_model.embedding_layer.cls_embedding",
      "vision_model.pre_layrnorm.bias": "vit_model.embedding_layer.post_embed_ln.bias",
      "vision_model.post_layernorm.weight": "vit_model.encoder.transformer_encoder.norm.weight",
      "vision_model.encoder.layers.0.self_attn.out_proj.bias":
        "vit_model.encoder.transformer_encoder.layers.0.self_attn.proj_output_dense_layer.bias",
      "vision_model.encoder.layers.0.mlp.fc2.bias":
        "vit_model.encoder.transformer_encoder.layers.0.ffn.ffn.1.linear_layer.bias",
      "vision_model.encoder.layers.0.layer_norm2.bias": "vit_model.encoder.transformer_encoder.layers.0.norm2.bias",
    ]
    let source = MemoryCheckpoint(
      names.keys.map { ($0, [2]) } + [
        ("visual_projection.weight", [3, 2]), ("vision_model.embeddings.position_ids", [1, 5]),
      ],
      model: false)
    let plan = try plannedParts("clip-vit", from: "hf", to: "cs-2.9", config: Self.hfConfig, source)
    #expect(plan.keys == Set(names.values).union(["classifier.classifier.ffn.0.linear_layer.weight"]))
    for (hf, cs) in names { #expect(try plan.floats(cs, from: source) == source[hf], "\(cs)") }
  }

  @Test(arguments: [
    (position, [4, 2]), ("vision_model.embeddings.patch_embedding.weight", [2, 3, 3, 4]),
    ("visual_projection.weight", [2, 3]), ("vision_model.embeddings.class_embedding", [3]),
  ])
  func noticesOtherShapes(_ key: String, _ shape: [Int]) throws {
    let source = MemoryCheckpoint([(key, shape)], model: false)
    let error = try #require(
      conversionError { try planned("clip-vit", from: "hf", to: "cs-2.9", config: Self.hfConfig, source) })
    #expect(error.diagnostics.contains { $0.subject == .tensor(key) && $0.message.contains("has shape") })
  }
}
