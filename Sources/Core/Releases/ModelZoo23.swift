import OrderedCollections

/// What release 2.3 changed in params documents: the `trainer` layout, and muP by base sizes.
///
/// Facts: Model Zoo Release 2.10.0, `mup.py` of its checkpoint converters and `trainer/utils.py`.
enum ModelZoo23 {
  static let document: [DocumentRule] = [
    baseSizes,
    .rewrite(
      "trainer layout",
      forward: { (document, _, notices) throws(ConfigFailure) in
        try TrainerLayout.apply(to: &document, &notices)
      },
      backward: { (document, _, notices) throws(ConfigFailure) in
        try TrainerLayout.revert(&document, &notices)
      }),
  ]

  /// muP of 2.2 scales by factors that were worked out from the width; 2.3 is given the sizes of the base model.
  static let baseSizes = DocumentRule.rewrite("muP base sizes", forward: toBaseSizes, backward: fromBaseSizes)

  private static let factors = ["scale_qk_dot_by_d", "embeddings_scale", "output_logits_scale"]
  private static let adjustment: DocumentPath = "optimizer.adjust_learning_rate"

  /// Up: the width of the model over the width of the base is 1 / `optimizer.adjust_learning_rate.decoder_kernel`.
  static let toBaseSizes: DocumentRule.Rewriting = { (document, _, notices) throws(ConfigFailure) in
    guard case .object(var model) = document["model"] else { return }
    let present = factors.filter { model[$0]?.isTruthyInPython ?? false }
    // Models have an embeddings_scale without being muP.
    guard present != ["embeddings_scale"], let first = present.first else { return }
    guard present.count == factors.count else {
      throw ConfigFailure(
        "model.\(first)",
        "This is an incomplete muP config: model has \(present.joined(separator: ", ")) but not "
          + factors.filter { !present.contains($0) }.joined(separator: ", ") + ". All of them or none must be set.")
    }
    var kernel = 1.0
    if let value = document[at: adjustment.appending("decoder_kernel")] {
      kernel = try value.positive("\(adjustment).decoder_kernel")
    } else {
      notices.append(
        DocumentNotice(
          "\(adjustment).decoder_kernel",
          "\(adjustment).decoder_kernel is not set, so the base model of muP is taken to be as wide as the model."))
    }
    let width = 1 / kernel
    if let scale = model["output_logits_scale"] {
      let hidden = try model.required("hidden_size").positive("model.hidden_size")
      var changed = ConfigObject()
      for (key, value) in model {
        guard key == "output_logits_scale" else {
          changed[key] = value
          continue
        }
        changed["mup_base_hidden_size"] = .double(hidden / width)
        if let filter = model["filter_size"] {
          changed["mup_base_filter_size"] = .double(try filter.positive("model.filter_size") / width)
        }
        changed["output_logits_alpha"] = .double(try scale.positive("model.output_logits_scale") * width)
      }
      model = changed
    }
    try scaleInitializers(&model, width: width) { $0 * $1 }
    document["model"] = .object(model)
    document[at: adjustment] = nil
  }

  /// Down: the factors and the learning rate of the hidden layers from the base sizes.
  private static let fromBaseSizes: DocumentRule.Rewriting = { (document, _, notices) throws(ConfigFailure) in
    guard case .object(var model) = document["model"], let base = model["mup_base_hidden_size"], base != .null else {
      return
    }
    guard let alpha = model["output_logits_alpha"], let embeddings = model["embeddings_scale"],
      alpha != .null, embeddings != .null
    else {
      notices.append(
        DocumentNotice(
          "model.mup_base_hidden_size",
          "Release 2.2 needs model.output_logits_alpha and model.embeddings_scale for muP. The muP settings are left as "
            + "they are: work them out by hand."))
      return
    }
    let hidden = try model.required("hidden_size").positive("model.hidden_size")
    let width = hidden / (try base.positive("model.mup_base_hidden_size"))
    var changed = ConfigObject()
    for (key, value) in model {
      switch key {
      case "mup_base_hidden_size", "mup_base_filter_size": break
      case "output_logits_alpha":
        changed["output_logits_scale"] = .double(try alpha.positive("model.output_logits_alpha") / width)
      default: changed[key] = value
      }
    }
    model = changed
    if model["scale_qk_dot_by_d"] == nil || model["scale_qk_dot_by_d"] == .null { model["scale_qk_dot_by_d"] = true }
    try scaleInitializers(&model, width: width) { $0 / $1 }
    document["model"] = .object(model)
    if document["optimizer"] != nil || width != 1 {
      document[at: adjustment.appending("decoder_kernel")] = .double(1 / width)
    }
  }

  /// Initial values that 2.2 was given scaled by width (and depth, in the last layer of a block) are given unscaled.
  private static func scaleInitializers(
    _ model: inout ConfigObject, width: Double, _ operation: (Double, Double) -> Double
  ) throws(ConfigFailure) {
    let scale = width.squareRoot()
    if let initializer = model["initializer"] {
      model["initializer"] = try scaled(initializer, by: scale, "model.initializer", operation)
    }
    if let initializer = model["output_layer_initializer"] {
      let layers = try model.required("num_hidden_layers").positive("model.num_hidden_layers")
      model["output_layer_initializer"] = try scaled(
        initializer, by: scale * (2 * layers).squareRoot(), "model.output_layer_initializer", operation)
    }
  }

  private static func scaled(
    _ value: ConfigValue, by factor: Double, _ key: String, _ operation: (Double, Double) -> Double
  ) throws(ConfigFailure) -> ConfigValue {
    // A bare name has no numbers to scale: it stands for the defaults of both releases.
    guard case .object(var initializer) = value, case .string(let name) = initializer["name"] else { return value }
    func number(_ setting: String, _ other: Double) throws(ConfigFailure) -> Double {
      guard let value = initializer[setting], value != .null else { return other }
      guard let number = value.numberInPython else {
        throw ConfigFailure("\(key).\(setting)", "\(key).\(setting) must be a number, not \(value.pythonDescription).")
      }
      return number.double
    }
    let deviation = try number("std", 0.05)
    switch name.lowercased() {
    case "normal": initializer["std"] = .double(operation(deviation, factor))
    case "truncated_normal":
      let (lower, upper) = (try number("a", -2 * deviation), try number("b", 2 * deviation))
      initializer["std"] = .double(operation(deviation, factor))
      initializer["a"] = .double(operation(lower, factor))
      initializer["b"] = .double(operation(upper, factor))
    default:
      throw ConfigFailure(
        "\(key).name", "Can't convert config with \(key).name=\(name): muP scales normal and truncated_normal only.")
    }
    return .object(initializer)
  }
}

extension ConfigValue {
  /// A positive finite number as a float. Throws with the name of the key for anything else.
  fileprivate func positive(_ key: String) throws(ConfigFailure) -> Double {
    guard case .number(let number) = self, number.double > 0, number.double.isFinite else {
      throw ConfigFailure(key, "\(key) must be a positive number, not \(pythonDescription).")
    }
    return number.double
  }
}
