/// CodeGen: GPT-J with q, k and v in one matrix. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 1.8.0 and 2.10.0 (`salesforce_codegen_hf_cs.py` of the checkpoint converters) and transformers'
/// `modeling_codegen.py`.
extension Family {
  static let codegen = Family(
    "codegen",
    [
      Model(
        "codegen", zooName: "gptj", csClass: "GPTJModel (configured as codegen)", ladder: .gptj,
        offered: .steps(from: Release(1, 8), every: Release(1, 8)...Release(2, 0)),
        bridges: GPTJ.bridges(hfClass: "CodeGenForCausalLM", modelType: "codegen", config: CodeGen.config) {
          release in
          GPTJ.withHead { GPTJ.body { CodeGen.packedHeads(release) } }
        }),
      Model(
        "codegen-headless", zooName: "gptj", csClass: "GPTJModel (configured as codegen)",
        caveat: DecoderParts.headlessCaveat, ladder: .gptj, offered: .steps(from: Release(2, 0)),
        bridges: GPTJ.bridges(hfClass: "CodeGenModel", modelType: "codegen", config: CodeGen.config) {
          release in
          GPTJ.withoutHead { GPTJ.body { CodeGen.packedHeads(release) } }
        }),
    ])
}

enum CodeGen {
  /// One matrix for q, v and k, in this order, in each of the four slices over which the model was first trained,
  /// whatever the number of heads.
  @RulesBuilder static func packedHeads(_ release: Release) -> [Rule] {
    Split(
      "attn.qkv_proj.weight",
      into: [
        "self_attn.proj_q_dense_layer.weight", "self_attn.proj_v_dense_layer.weight",
        "self_attn.proj_k_dense_layer.weight",
      ],
      Packing(rows: [.dimension(.fixed(slices)), .parts, .rest], square: true), [.hidden, .hidden])
    Refuse(.hf, "attn.qkv_proj.bias", GPTJ.noAttentionBias)
    if release < Release(2, 0) {
      Generated(.hf, "attn.causal_mask", beside: "attn.out_proj.weight") { (context) throws(RuleFailure) in
        try context.causalMask()
      }
    } else {
      DecoderParts.oldBuffers("attn.causal_mask")
    }
    DecoderParts.oldBuffers("attn.bias", "attn.masked_bias")
  }

  /// Slices of the packed matrix.
  private static let slices = 4

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    GPTJ.sharedConfig(release, dropout: 0)
    Require(.cs, "position_embedding_type", "rotary")
    Check(.hf) { (config) throws(ConfigFailure) in try checkHeads(config, "n_head") }
    Check(.cs) { (config) throws(ConfigFailure) in try checkHeads(config, "num_heads") }
    Implied(.cs, "use_bias_in_output", true)
    Implied(.cs, "use_untied_layer_norm", false)
    Assume(.cs, "use_untied_layer_norm", false)
  }

  private static func checkHeads(_ config: ConfigObject, _ key: String) throws(ConfigFailure) {
    let heads = try config.requiredInt(key)
    guard heads >= slices else {
      throw ConfigFailure(
        key,
        "Can't convert config with \(key)=\(heads). The HF model keeps its heads in \(slices) slices, so at least "
          + "\(slices) heads are needed.")
    }
  }
}
