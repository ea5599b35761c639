/// Keys that classes of transformers pass over when they load a checkpoint: leftovers of older releases of their own.
///
/// Such keys are left out with one warning, as the class does itself. What a family already has a rule for is not listed.
///
/// Facts: `_keys_to_ignore_on_load_unexpected` of the classes, transformers 4.20 to 4.57, and the buffers that
/// `_find_missing_and_unexpected_keys` in `modeling_utils.py` forgives.
enum IgnoredByTransformers {
  /// Patterns by the name of the class.
  static let patterns: [String: [KeyPattern]] = [
    "T5ForConditionalGeneration": crossAttentionBias, "MT5ForConditionalGeneration": crossAttentionBias,
    "UMT5ForConditionalGeneration": crossAttentionBias, "T5Model": crossAttentionBias,
    "T5EncoderModel": [KeyPattern("decoder.{rest}")],
    "GPT2LMHeadModel": masks("transformer.h.{layer}.attn"), "GPT2Model": masks("h.{layer}.attn"),
    "GPTJForCausalLM": masks("transformer.h.{layer}.attn"), "GPTJModel": masks("h.{layer}.attn"),
    "CodeGenForCausalLM": masks("transformer.h.{layer}.attn") + [KeyPattern("transformer.h.{layer}.attn.causal_mask")],
    "CodeGenModel": masks("h.{layer}.attn") + [KeyPattern("h.{layer}.attn.causal_mask")],
    "GPTNeoXForCausalLM": neoX("gpt_neox."), "GPTNeoXModel": neoX(""),
    "BertForPreTraining": positions("bert."),
    "BertForMaskedLM": pooler + positions("bert."), "BertLMHeadModel": pooler + positions("bert."),
    "BertForTokenClassification": pooler + positions("bert."),
    "BertForQuestionAnswering": pooler + positions("bert."),
    "BertForSequenceClassification": positions("bert."), "BertModel": positions(""),
  ]

  private static let crossAttentionBias = [
    KeyPattern("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight")
  ]
  private static let pooler = [KeyPattern("bert.pooler.dense.{leaf}")]

  private static func masks(_ attention: String) -> [KeyPattern] {
    [KeyPattern("\(attention).bias"), KeyPattern("\(attention).masked_bias")]
  }

  private static func neoX(_ prefix: String) -> [KeyPattern] {
    masks("\(prefix)layers.{layer}.attention")
      + [
        KeyPattern("\(prefix)layers.{layer}.attention.rotary_emb.inv_freq"), KeyPattern("\(prefix)rotary_emb.inv_freq"),
      ]
  }

  private static func positions(_ prefix: String) -> [KeyPattern] { [KeyPattern("\(prefix)embeddings.position_ids")] }

  /// Those of `keys` that every class on the way from Hugging Face would pass over. Empty for another source.
  /// Complexity: O(keys).
  static func keys(among keys: [String], along route: Route) -> Set<String> {
    guard route.source == .hf, let hfClass = route.hfClass, let patterns = patterns[hfClass], !keys.isEmpty
    else { return [] }
    let index = PatternIndex(patterns.enumerated().map { (PatternIndex.Slot(rule: $0, position: 0), $1) })
    return Set(keys.filter { !index.matches($0.keySegments).isEmpty })
  }

  /// One warning for all of them; nil when there are none.
  static func warning(_ keys: [String], along route: Route) -> Diagnostic? {
    guard !keys.isEmpty else { return nil }
    let named = KeyRuns.collapsed(keys).joined(separator: ", ")
    return Diagnostic(
      .warning, .keysUnmatched, .conversion,
      "\(route.hfClass ?? route.model.name) of transformers ignores these keys when it loads a checkpoint, so they are "
        + "left out: \(named)")
  }
}
