import OrderedCollections

/// Models that share one name for `--model`, of which the config names the one that is meant: training of one kind for
/// any of several models.
///
/// Each is an ordinary model with its own ladder and bridges, and all have the same formats. `Model.meant` takes one;
/// what comes after it knows nothing of the others.
struct ModelChoice: Sendable {
  /// A model and what configs call it.
  struct Named: Sendable {
    /// What params files of the Model Zoo call it.
    let name: String
    let model: Model
  }

  /// The key of the model's section of params files that holds the name of one.
  let key: String
  /// The models, at least one.
  let models: [Named]
  /// Where newer params files may keep the model's own keys; nil for no other place.
  var nesting: SectionNesting?
}

/// A section inside the model's section of params files that holds what older ones have beside it.
struct SectionNesting: Sendable {
  /// The key of the section inside.
  let key: String
  /// What the `name` of the section inside is called beside it.
  let nameKey: String

  /// The section with everything beside the rest; one without a section inside stays as it is.
  func flattened(_ section: ConfigObject) -> ConfigObject {
    guard case .object(let inside)? = section[key] else { return section }
    var flat = section
    flat[key] = nil
    for (key, value) in inside { flat[key == "name" ? nameKey : key] = value }
    return flat
  }
}

extension Model {
  /// The model that a config of a format is of: the model itself, or the alternative that the config names, by
  /// `model_type` for Hugging Face and by a key of the model's section for the Model Zoo.
  ///
  /// Of several models of Hugging Face with one `model_type`, `architectures` decides, else the model that knows most keys
  /// of the config. Throws `.configNotConvertible` with the names that there are when the config names none of them.
  /// Complexity: O(models), and O(keys) where several have the type.
  package func meant(by config: ConfigObject, in format: Format) throws(ConversionError) -> Model {
    guard let choice else { return self }
    let key = format == .hf ? "model_type" : choice.key
    var section = config
    if format.isCS {
      section = try ModelSection.find(in: config, format: format)
      if let nesting = choice.nesting { section = nesting.flattened(section) }
    }
    let names = choice.models.flatMap { format == .hf ? $0.model.bridges.flatMap(\.modelTypes) : [$0.name] }
    let known = names.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }.joined(separator: ", ")
    guard let value = section[key] else {
      throw Self.unknown(
        "The config lacks '\(key)', which names the model that \(name) is of. Add it; these are known: \(known).", key)
    }
    let named = choice.models.filter { named in
      format == .hf
        ? named.model.bridges.contains { $0.modelTypes.contains { value == .string($0) } }
        : value == .string(named.name)
    }
    guard var best = named.first?.model else {
      throw Self.unknown(
        "\(name) does not support \(key)=\(value.pythonDescription). These are supported: \(known).", key)
    }
    guard named.count > 1 else { return best }
    if case .array(let classes)? = config["architectures"],
      let exact = named.first(where: { $0.model.bridges.contains { classes.contains(.string($0.hfClass)) } })
    {
      return exact.model
    }
    for next in named.dropFirst() where next.model.knownKeys(of: config) > best.knownKeys(of: config) {
      best = next.model
    }
    return best
  }

  /// How many keys of a config of Hugging Face the rules of the newest bridge know.
  private func knownKeys(of config: ConfigObject) -> Int {
    guard let bridge = bridges.last else { return 0 }
    let rules = bridge.crossing(at: bridge.covers.upperBound, zooName: zooName).config
    let known = Set(rules.flatMap { $0.claimedKeys(on: .hf) })
    return config.keys.count(where: known.contains)
  }

  private static func unknown(_ message: String, _ key: String) -> ConversionError {
    .configRefused([Diagnostic(.error, .configNotConvertible, .config(key), message)])
  }
}

/// What releases of the Model Zoo put around a model that Hugging Face has bare.
struct ModelFrame: Sendable {
  /// The keys of the model stand under this in the Model Zoo.
  var prefix: KeyPattern = ""
  /// The release whose rules hold for the model inside, whatever the release around it is.
  let layout: Release
  /// What stands beside the model.
  var tensors: [Rule] = []
  /// What the config has besides the model's own keys.
  var config: [ConfigRule] = []
  /// Where newer params files may keep the model's own keys; nil for no other place.
  var nesting: SectionNesting?
  /// True when the vendor's tool converts between Hugging Face and these releases.
  var isOffered = true
}
