/// Why keys of a checkpoint are none of the model's, as far as their names tell, and what to do about it.
struct UnmatchedCauses {
  private let keys: [String]
  private let count: Int
  private let route: Route

  /// At most so many keys are tried against other models.
  private static let sample = 2_000

  /// `keys` match no rule; the state dict has `count` keys.
  init(keys: [String], of count: Int, along route: Route) {
    self.keys = keys
    self.count = count
    self.route = route
  }

  /// One sentence or several, each with a way out; nil when the names tell nothing.
  ///
  /// Complexity: O(keys), and a bounded number of keys against every model of the catalogue.
  var explanation: String? {
    let sentences = [adapter, valueHead, layout].compactMap { $0 }
    return sentences.isEmpty ? nil : sentences.joined(separator: " ")
  }

  // MARK: What is added to a model

  private var adapter: String? {
    let parts = keys.filter { key in
      key.keySegments.contains { segment in
        ["lora_", "ia3_l", "hada_w", "lokr_w", "oft_r", "vera_lambda", "adapter_"].contains { segment.hasPrefix($0) }
          || ["prompt_embeddings", "prompt_encoder", "base_layer", "modules_to_save", "original_module"].contains(
            segment)
      }
    }
    guard let example = parts.first else { return nil }
    let way =
      "merge it into the base model with merge_and_unload() of peft, save the result with save_pretrained, and convert that."
    let isLoRA = parts.contains { $0.contains("lora_") }
    let kind = isLoRA ? "a LoRA adapter" : "an adapter (PEFT)"
    return parts.count == count
      ? "The checkpoint holds \(kind) and not the model (\(example)): \(way)"
      : "The checkpoint holds \(kind) that is not merged into the model (\(example)): \(way)"
  }

  private var valueHead: String? {
    let heads: [(segments: Set<Substring>, name: String)] = [
      (["v_head", "value_head", "critic_head", "values_head"], "the value head of a reinforcement-learning trainer"),
      (["score", "classifier", "classification_head", "qa_outputs"], "a classification head"),
    ]
    for (segments, name) in heads {
      let parts = keys.filter { $0.split(separator: ".").contains(where: segments.contains) }
      guard let example = parts.first, parts.count < count else { continue }
      return
        "\(example) is part of \(name), which \(route.model.name) does not have: rerun with --drop-unmatched-keys to leave "
        + "it out."
    }
    return nil
  }

  // MARK: Another layout of the model

  private var layout: String? {
    let tried = Array(keys.prefix(Self.sample))
    guard keys.count * 2 > count, let known = KnownKeys(route.model, in: route.source, layout: route.layout)
    else { return nil }
    if let other = otherModel(tried) {
      return "These are keys of \(other): use --model \(other)."
    }
    func most(_ test: (String) -> Bool) -> Bool { tried.count(where: test) * 10 >= tried.count * 9 }
    for prefix in ["bert.", "transformer.", "gpt_neox.", "model.", "encoder.", "decoder."]
    where most({ known.contains(prefix + $0) }) {
      return
        "The keys lack '\(prefix)': this is the model without its head (\(route.source == .hf ? "the base class of transformers" : "a bare model")), "
        + "and \(route.model.name) is the model with it. Load it with the class that has the head, \(headClass), save that, and convert it."
    }
    if let first = tried.first?.prefix(while: { $0 != "." }), most({ $0.hasPrefix("\(first).") }),
      most({ known.contains($0.dropFirst(first.count + 1)) })
    {
      return
        "Every key begins with '\(first).'; without it these are keys of \(route.model.name). If it is the name of a wrapper, "
        + "save the state dict of what it holds."
    }
    return nil
  }

  private var headClass: String { route.hfClass ?? route.model.csClass }

  /// The first other model of the catalogue that all of the keys belong to, one of the same type before all others.
  private func otherModel(_ tried: [String]) -> String? {
    guard tried.count == keys.count || keys.count > Self.sample else { return nil }
    let types = Set(route.model.bridges.flatMap(\.modelTypes))
    func isOfSameType(_ model: Model) -> Bool { model.bridges.contains { !types.isDisjoint(with: $0.modelTypes) } }
    let others = Catalogue.models.filter { $0.name != route.model.name && $0.formats.contains(route.source) }
    for model in others.filter(isOfSameType) + others.filter({ !isOfSameType($0) }) {
      guard let known = KnownKeys(model, in: route.source) else { continue }
      if tried.allSatisfy({ known.claims($0) }) { return model.name }
    }
    return nil
  }
}
