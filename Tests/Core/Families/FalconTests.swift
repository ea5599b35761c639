import OrderedCollections
import Testing

@testable import Core

@Suite struct FalconTests {
  static let configs = ConfigConversion(
    model: "falcon",
    csBase: [
      "hidden_size": 16, "num_heads": 4, "filter_size": 64, "embedding_dropout_rate": 0.0,
      "attention_module": "multiquery_attention",
    ], release: "cs-2.9")
  static let base: ConfigObject = ["model_type": "falcon", "hidden_size": 16, "num_attention_heads": 4]
  static let refinedWeb: ConfigObject = ["hidden_size": 16, "n_head": 4, "n_layer": 2, "vocab_size": 9]

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "filter_size": 64, "rotary_dim": 4, "extra_attention_params": ["num_kv_groups": 1],
        "use_untied_layer_norm": false,
        "rope_theta": 10000.0, "pos_scaling_factor": 1.0, "use_ffn_bias": false, "share_embedding_weights": true,
        "max_position_embeddings": 2048, "vocab_size": 65024, "num_hidden_layers": 32, "name": "falcon",
      ]),
    AcceptedKey(["multi_query": false], ["extra_attention_params": ["num_kv_groups": 4]]),
    AcceptedKey(
      ["new_decoder_architecture": true, "num_kv_heads": 2],
      ["extra_attention_params": ["num_kv_groups": 2], "use_untied_layer_norm": true]),
    AcceptedKey(
      ["new_decoder_architecture": true, "num_ln_in_parallel_attn": .null],
      ["extra_attention_params": ["num_kv_groups": 4], "use_untied_layer_norm": true]),
    AcceptedKey(
      ["new_decoder_architecture": true, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1],
      ["use_untied_layer_norm": false]),
    AcceptedKey(
      ["bias": true],
      ["use_ffn_bias": true, "use_ffn_bias_in_attention": true, "use_projection_bias_in_attention": true]),
    AcceptedKey(["ffn_hidden_size": 20], ["filter_size": 20]),
    AcceptedKey(
      ["rope_scaling": ["type": "linear", "factor": 2.0]], ["pos_scaling_factor": 2.0, "pos_scaling_type": "linear"]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    let source = Self.base.merging(accepted.source) { _, new in new }
    Self.configs.check(try Self.configs.cs(source), accepted)
  }

  @Test func readsTheOlderCodeBases() throws {
    let multiQuery = try Self.configs.cs(Self.refinedWeb.merging(["model_type": "RefinedWebModel"]) { _, new in new })
    #expect(multiQuery["num_heads"] == 4)
    #expect(multiQuery["num_hidden_layers"] == 2)
    #expect(multiQuery["extra_attention_params"] == ["num_kv_groups": 1])
    #expect(multiQuery["use_untied_layer_norm"] == false)
    #expect(multiQuery["rope_theta"] == nil)
    // The class would have biases in its attention.
    #expect(multiQuery["use_projection_bias_in_attention"] == false)
    let grouped = try Self.configs.cs(
      Self.refinedWeb.merging(["model_type": "RefinedWeb", "n_head_kv": 2]) { _, new in new })
    #expect(grouped["extra_attention_params"] == ["num_kv_groups": 2])
    #expect(grouped["use_untied_layer_norm"] == true)
  }

  @Test(arguments: [
    RefusedKey("alibi", true), RefusedKey("parallel_attn", false), RefusedKey("activation", "relu"),
    RefusedKey("apply_residual_connection_post_layernorm", true), RefusedKey("model_type", "gpt2"),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    var config = Self.base
    config[refused.key] = refused.value
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs(config) }
  }

  @Test(arguments: [
    RefusedKey("bias", true), RefusedKey("multi_query", false), RefusedKey("model_type", "RefinedWeb"),
  ])
  func refusesFromTheOlderCodeBase(_ refused: RefusedKey) {
    var config = Self.refinedWeb
    config["model_type"] = "RefinedWebModel"
    config[refused.key] = refused.value
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs(config) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "model_type": "falcon", "num_kv_heads": 1, "multi_query": true, "new_decoder_architecture": false,
        "num_ln_in_parallel_attn": .null, "parallel_attn": true, "rope_scaling": .null, "bias": nil,
        "ffn_hidden_size": nil,
      ]),
    AcceptedKey(
      ["use_untied_layer_norm": true, "extra_attention_params": ["num_kv_groups": 2]],
      ["num_kv_heads": 2, "multi_query": false, "new_decoder_architecture": true, "num_ln_in_parallel_attn": 2]),
    AcceptedKey(
      ["extra_attention_params": ["num_kv_groups": 2]],
      ["num_kv_heads": 2, "new_decoder_architecture": true, "num_ln_in_parallel_attn": 1]),
    AcceptedKey(
      ["extra_attention_params": ["num_kv_groups": 4]], ["multi_query": false, "new_decoder_architecture": false]),
    AcceptedKey(["filter_size": 20], ["ffn_hidden_size": 20]),
    AcceptedKey(
      ["use_ffn_bias": true, "use_ffn_bias_in_attention": true, "use_projection_bias_in_attention": true],
      ["bias": true]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "alibi"), RefusedKey("embedding_dropout_rate", 0.1),
    RefusedKey("rotary_dim", 2), RefusedKey("nonlinearity", "relu"), RefusedKey("attention_module", "aiayn_attention"),
    RefusedKey("use_ffn_bias", true), RefusedKey("use_bias_in_output", true),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }
}
