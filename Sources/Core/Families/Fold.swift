public import OrderedCollections

/// What training left in a Model Zoo checkpoint that Hugging Face has no words for, folded into the weights on the way
/// there. One way: nothing is folded on the way to the Model Zoo.
///
/// muP is the example: a model that multiplies its embeddings by a number becomes one whose embeddings are that much
/// larger.
public struct Fold: Sendable {
  /// The elements of tensors whose keys fit `pattern` pass through functions of the config.
  public struct Scaling: Sendable {
    /// Keys of the Model Zoo, without the optional prefix.
    public let pattern: KeyPattern
    /// The functions, applied in this order with a rounding each. Throws when the config lacks a value.
    public let functions: @Sendable (ConfigObject) throws(ConfigFailure) -> [ElementFunction]

    /// A scaling.
    public init(
      _ pattern: KeyPattern, _ functions: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> [ElementFunction]
    ) {
      self.pattern = pattern
      self.functions = functions
    }
  }

  /// What it is called in plans and messages.
  public let name: String
  /// True when a checkpoint needs it, by the params file and the model's section of it.
  public let applies: @Sendable (_ document: ConfigObject, _ model: ConfigObject) -> Bool
  /// What happens to tensors. The first pattern that a key fits counts.
  public let scalings: [Scaling]
  /// The model's section after the fold.
  public let config: @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigObject

  /// A fold.
  public init(
    _ name: String, applies: @escaping @Sendable (_ document: ConfigObject, _ model: ConfigObject) -> Bool,
    scalings: [Scaling],
    config: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigObject
  ) {
    self.name = name
    self.applies = applies
    self.scalings = scalings
    self.config = config
  }

  /// The tensors of a state dict after the fold; keys may carry the optional prefix.
  ///
  /// Throws when the config lacks a value that a scaling needs. Complexity: O(tensors).
  func apply(to state: inout StateDict, _ config: ConfigObject) throws(ConfigFailure) {
    let index = PatternIndex(
      scalings.enumerated().map { (PatternIndex.Slot(rule: $0.offset, position: 0), $0.element.pattern) })
    var functions: [Int: [ElementFunction]] = [:]
    for (key, value) in state.values {
      guard let tensor = value.tensor else { continue }
      var segments = key.split(separator: ".")
      if key.hasPrefix(Model.optionalPrefix) { segments.removeFirst() }
      guard let slot = index.matches(segments).first?.slot else { continue }
      let chosen: [ElementFunction]
      if let known = functions[slot.rule] {
        chosen = known
      } else {
        chosen = try scalings[slot.rule].functions(config)
        functions[slot.rule] = chosen
      }
      if chosen.isEmpty { continue }
      state.values[key] = .tensor(chosen.reduce(tensor) { $0.mapped($1) })
    }
  }
}

extension Fold {
  /// Sparse training of releases up to 1.9 marks pruned weights with NaN; Hugging Face knows dense weights only.
  static let anySparsity = sparsity { $0.isTruthyInPython }

  /// From 2.0 on only the `sideband` kind of sparsity marks pruned weights with NaN; other kinds keep masks.
  static let sidebandSparsity = sparsity { value in
    guard case .object(let section) = value else { return false }
    return section["type"] == "sideband"
  }

  private static func sparsity(_ applies: @escaping @Sendable (ConfigValue) -> Bool) -> Fold {
    Fold(
      "sparsity",
      applies: { (document, _) in
        (document["sparsity"] ?? document[at: "trainer.init.sparsity"]).map(applies) ?? false
      },
      scalings: [Scaling("{rest}") { (_) throws(ConfigFailure) in [.nanToZero] }],
      config: { (config) throws(ConfigFailure) in config })
  }
}
