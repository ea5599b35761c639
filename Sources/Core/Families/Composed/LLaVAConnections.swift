import OrderedCollections

/// What the configs of LLaVA say of the connection between image model and text model.
extension LLaVA {
  /// A projector as all layouts can say it.
  typealias Projector = (layers: Int, activation: ConfigValue, hasBias: Bool)

  private static let settings = ["name", "input_unit", "layers_units", "layers_activation", "use_bias"]

  /// A feed-forward network from the width of the image model to that of the text model.
  @ConfigRulesBuilder static func projector(
    _ keys: [String], _ names: ModelZooNames, image: String, text: String,
    read: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> Projector,
    write: @escaping @Sendable (Projector) throws(ConfigFailure) -> ConfigObject
  ) -> [ConfigRule] {
    Keys(keys, settings.map { "\(names.projector).\($0)" }) { (config) throws(ConfigFailure) in
      let projector = try read(config)
      let width = try config.dimension("\(text).hidden_size")
      let values: ConfigObject = [
        "name": "FeedForwardNetwork", "input_unit": .int(try config.dimension("\(image).hidden_size")),
        "layers_units": .array(Array(repeating: .int(width), count: projector.layers)),
        "layers_activation": .array(
          Array(repeating: projector.activation, count: projector.layers - 1) + [.null]),
        "use_bias": .bool(projector.hasBias),
      ]
      return ConfigObject(uniqueKeysWithValues: values.map { ("\(names.projector).\($0.key)", $0.value) })
    } backward: { (config) throws(ConfigFailure) in
      try write(try described(by: config, names))
    }
  }

  /// The projector of a params file. Throws for one that no HF model has.
  private static func described(
    by config: ConfigObject, _ names: ModelZooNames
  ) throws(ConfigFailure) -> Projector {
    func refuse(_ key: String, _ why: String) -> ConfigFailure {
      let value = config.value(at: "\(names.projector).\(key)") ?? .null
      return ConfigFailure(
        "\(names.projector).\(key)",
        "Can't convert config with \(names.projector).\(key)=\(value.pythonDescription): \(why).")
    }
    guard case .object(let projector)? = config.value(at: names.projector) else {
      throw ConfigFailure(names.projector, "The config lacks '\(names.projector)', which is needed.")
    }
    guard projector["name"] == "FeedForwardNetwork" || projector["name"] == "MLP" else {
      throw refuse("name", "the projector of a HF model is a FeedForwardNetwork")
    }
    let widths = (config.value(at: "\(names.image).hidden_size"), config.value(at: "\(names.text).hidden_size"))
    guard let (image, text) = Self.both(widths), projector["input_unit"]?.isEqualInPython(image) ?? false else {
      throw refuse("input_unit", "it must be the width of the image model")
    }
    guard case .array(let units)? = projector["layers_units"], (1...mostLayers).contains(units.count),
      units.allSatisfy({ $0.isEqualInPython(text) })
    else {
      throw refuse("layers_units", "there must be 1 to \(mostLayers), each the width of the text model")
    }
    let activations: [ConfigValue]
    if case .array(let values)? = projector["layers_activation"] { activations = values } else { activations = [] }
    guard activations.count == units.count, activations.last == .null,
      activations.dropLast().allSatisfy({ $0 == activations[0] })
    else {
      throw refuse("layers_activation", "there must be the same one for each layer but the last, which has null")
    }
    let hasBias = projector["use_bias"]?.isTruthyInPython ?? false
    return (units.count, units.count == 1 ? "gelu" : activations[0], hasBias)
  }

  private static func both(_ values: (ConfigValue?, ConfigValue?)) -> (ConfigValue, ConfigValue)? {
    if let first = values.0, let second = values.1 { (first, second) } else { nil }
  }

  /// The number in `mlp2x_gelu`. Throws for projectors of other kinds.
  static func layers(of type: ConfigValue) throws(ConfigFailure) -> Int {
    let key = "text_model.mm_projector_type"
    if case .string(let text) = type, text.hasPrefix("mlp"), text.hasSuffix("x_gelu"),
      let count = Int(text.dropFirst(3).dropLast(6)), (1...mostLayers).contains(count)
    {
      return count
    }
    throw ConfigFailure(
      key,
      "Can't convert config with \(key)=\(type.pythonDescription). Only mlp1x_gelu to mlp\(mostLayers)x_gelu are supported."
    )
  }

  /// Which states of the image model are used: the layer, counted from the last where it is negative, and whether the class
  /// token is one of them. Hugging Face counts the embeddings as layer 0.
  @ConfigRulesBuilder static func selection(
    layer: String, of image: String, mode: String, _ modes: KeyValuePairs<ConfigValue, ConfigValue>,
    _ names: ModelZooNames
  ) -> [ConfigRule] {
    Key(mode, names.mode, values: modes)
    Assume(.hf, mode, modes[0].key)
    Assume(.cs, names.mode, "patch")
    Key(
      layer, names.layer, .integer,
      forward: { (value, config) throws(ConfigFailure) in
        let layers = try config.dimension("\(image).num_hidden_layers")
        guard case .number(let number) = value, let index = number.int, index != 0, (-layers...layers).contains(index)
        else {
          throw ConfigFailure(
            layer,
            "Can't convert config with \(layer)=\(value.pythonDescription): it must be a layer of the image model, from 1 to "
              + "\(layers), or counted from the last, from -1 to -\(layers). 0 means the embeddings.")
        }
        return .int(index < 0 ? index : index - 1)
      },
      backward: { (value, config) throws(ConfigFailure) in
        let layers = try config.dimension("\(names.image).num_hidden_layers")
        // The class takes it modulo the number of layers; null is its default.
        let index: Int
        if value == .null {
          index = -1
        } else if case .number(let number) = value, let given = number.int {
          index = given
        } else {
          throw ConfigFailure(names.layer, "'\(names.layer)' must be an integer, not \(value.pythonDescription).")
        }
        guard !(-layers..<layers).contains(index) else { return .int(index < 0 ? index : index + 1) }
        return .int((index % layers + layers) % layers + 1)
      })
    Assume(.hf, layer, -2)
    Assume(.cs, names.layer, -1)
  }

  /// What is not trained. In Hugging Face a flag says that nothing is but the projector.
  @ConfigRulesBuilder static var frozenParts: [ConfigRule] {
    Key(
      "text_model.tune_mm_mlp_adapter", "freeze",
      forward: { (value, _) throws(ConfigFailure) in
        value.isTruthyInPython ? ["^image_model", "^text_model"] : ["^image_model"]
      },
      backward: { (value, _) throws(ConfigFailure) in
        guard case .array(let patterns) = value else { return false }
        return .bool(
          patterns.contains { pattern in
            if case .string(let text) = pattern { text.drop { $0 == "^" }.hasPrefix("text_model") } else { false }
          })
      })
    Assume(.hf, "text_model.tune_mm_mlp_adapter", false)
    Assume(.cs, "freeze", [])
  }

  /// What the authors' config of the text model says besides.
  @ConfigRulesBuilder static var labels: [ConfigRule] {
    for (key, value) in [("bos_token_id", 1), ("eos_token_id", 2), ("pad_token_id", 0), ("use_cache", true)]
      as [(String, ConfigValue)]
    { Fill(.hf, "text_model.\(key)", value) }
    for (key, value) in [
      ("image_aspect_ratio", "pad"), ("freeze_mm_mlp_adapter", false), ("freeze_mm_vision_resampler", false),
      ("tune_mm_vision_resampler", false),
      ("unfreeze_mm_vision_tower", false), ("mm_vision_tower", "image_model"),
    ] as [(String, ConfigValue)] {
      Fill(.hf, "text_model.\(key)", value)
      Ignore(.hf, "text_model.\(key)")
    }
    DescribesNothing(
      .hf,
      [
        "image_grid_pinpoints", "mm_resampler_type", "mm_projector_lr", "mm_vision_tower_lr",
        "tokenizer_model_max_length",
        "tokenizer_padding_side", "use_mm_proj",
      ].map { "text_model.\($0)" })
  }
}
