import OrderedCollections
import Testing

@testable import Core

@Suite struct StarCoderTests {
  static let configs = ConfigConversion(
    model: "starcoder", csBase: ["hidden_size": 8, "num_heads": 2, "filter_size": 12], release: "cs-2.9")
  static let base: ConfigObject = ["model_type": "gpt_bigcode", "n_embd": 8, "n_head": 2]

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "name": "starcoder", "filter_size": 32, "attention_module": "multiquery_attention",
        "extra_attention_params": ["num_kv_groups": 1], "nonlinearity": "gelu_new",
        "attention_type": "scaled_dot_product",
        "num_hidden_layers": 40, "max_position_embeddings": 8192, "vocab_size": 49152, "embedding_dropout_rate": 0.0,
        "use_bias_in_output": false, "loss_scaling": "num_tokens", "position_embedding_type": "learned",
      ]),
    AcceptedKey(["multi_query": false], ["attention_module": "aiayn_attention", "extra_attention_params": nil]),
    AcceptedKey(["activation_function": "gelu_pytorch_tanh"], ["nonlinearity": "gelu_new"]),
    AcceptedKey(["activation_function": "gelu"], ["nonlinearity": "gelu"]),
    AcceptedKey(["attention_softmax_in_fp32": true], ["attention_softmax_fp32": true]),
    AcceptedKey(["scale_attn_weights": false], ["attention_type": "dot_product"]),
    AcceptedKey(["n_inner": 12, "num_key_value_heads": 1], ["filter_size": 12, "num_key_value_heads": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    let source = Self.base.merging(accepted.source) { _, new in new }
    Self.configs.check(try Self.configs.cs(source), accepted)
  }

  @Test(arguments: [
    AcceptedKey(
      ["attention_module": "multiquery_attention"],
      ["multi_query": true, "n_embd": 8, "n_inner": 12, "model_type": "gpt_bigcode", "max_batch_size": .null]),
    AcceptedKey(["attention_module": "aiayn_attention"], ["multi_query": false]),
    AcceptedKey(
      ["attention_module": "multiquery_attention", "extra_attention_params": ["num_kv_groups": 2]],
      ["multi_query": false]),
    AcceptedKey(["nonlinearity": "gelu_new"], ["activation_function": "gelu_pytorch_tanh"]),
    AcceptedKey(["nonlinearity": "gelu_pytorch_tanh"], ["activation_function": "gelu_pytorch_tanh"]),
    AcceptedKey(["nonlinearity": "gelu"], ["activation_function": "gelu"]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("attention_module", "other"), RefusedKey("position_embedding_type", "alibi"),
    RefusedKey("use_ffn_bias", false), RefusedKey("norm_type", "rmsnorm"), RefusedKey("use_bias_in_output", true),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test func refusesGroupsThatAreNeitherOneNorAll() {
    let section: ConfigObject = [
      "num_heads": 4, "attention_module": "multiquery_attention", "extra_attention_params": ["num_kv_groups": 2],
    ]
    Self.configs.checkRefusal(of: "extra_attention_params.num_kv_groups") { try Self.configs.hf(section) }
  }

  @Test(arguments: [("octocoder", "starcoder"), ("WizardCoder", "gpt2"), ("sqlcoder", "starcoder")])
  func namesTheClassOfEachAlias(_ alias: String, _ name: String) throws {
    let configs = ConfigConversion(model: alias, csBase: [:], release: "cs-2.9")
    #expect(try configs.cs(Self.base)["name"] == .string(name))
  }

  @Test func santaCoderHasOneGroup() throws {
    let configs = ConfigConversion(model: "santacoder", csBase: [:], release: "cs-2.9")
    let source: ConfigObject = ["model_type": "gpt2", "n_embd": 8, "scale_attn_by_inverse_layer_idx": true]
    let section = try configs.cs(source)
    #expect(section["attention_module"] == "multiquery_attention")
    #expect(section["extra_attention_params"] == ["num_kv_groups": 1])
    #expect(section["scale_qk_dot_by_layer_idx"] == true)
    #expect(section["softmax_dtype_fp32"] == nil)
    configs.checkRefusal(of: "attention_head_type") {
      try configs.cs(source.merging(["attention_head_type": "multihead"]) { _, new in new })
    }
    configs.checkRefusal(of: "attention_module") {
      try configs.hf(["attention_module": "aiayn_attention", "dropout_rate": 0.1])
    }
    let older = ConfigConversion(model: "santacoder", csBase: [:], release: "cs-2.3")
    #expect(try older.cs(source)["softmax_dtype_fp32"] == false)
    let back = try configs.hf(["dropout_rate": 0.1, "attention_module": "multiquery_attention"])
    #expect(back["attention_head_type"] == "multiquery")
    #expect(back["architectures"] == ["GPT2LMHeadCustomModel"])
  }
}
