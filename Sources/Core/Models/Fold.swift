import OrderedCollections

/// What training left in a Model Zoo checkpoint that Hugging Face has no words for, folded into the weights on the way
/// there. One way: nothing is folded on the way to the Model Zoo.
///
/// muP is the example: a model that multiplies its embeddings by a number becomes one whose embeddings are that much
/// larger.
struct Fold: Sendable {
  /// The elements of tensors whose keys fit `pattern` pass through functions of the config.
  struct Scaling: Sendable {
    /// Keys of the Model Zoo, without the optional prefix.
    let pattern: KeyPattern
    /// Functions of a model's section. Throws when the section lacks a value.
    typealias Functions = @Sendable (ConfigObject) throws(ConfigFailure) -> [ElementFunction]
    /// The functions, applied in this order with a rounding each.
    let functions: Functions

    init(_ pattern: KeyPattern, _ functions: @escaping Functions) {
      self.pattern = pattern
      self.functions = functions
    }
  }

  /// What it is called in plans and messages.
  let name: String
  /// True when a checkpoint needs it, by the params file and the model's section of it.
  let applies: @Sendable (_ document: ConfigObject, _ model: ConfigObject) -> Bool
  /// What happens to tensors. The first pattern that a key fits counts.
  let scalings: [Scaling]
  /// Pairs of keys that one tensor may stand under, of which one may be missing or None while a config ties them. Both
  /// are there after the fold, which may scale them differently.
  let shared: [(String, String)]
  /// True when the model's section ties the pairs.
  let ties: @Sendable (ConfigObject) -> Bool
  /// The model's section after the fold.
  let config: @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigObject

  init(
    _ name: String, applies: @escaping @Sendable (_ document: ConfigObject, _ model: ConfigObject) -> Bool,
    scalings: [Scaling], shared: [(String, String)] = [],
    ties: @escaping @Sendable (ConfigObject) -> Bool = { _ in false },
    config: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigObject
  ) {
    self.name = name
    self.applies = applies
    self.scalings = scalings
    self.shared = shared
    self.ties = ties
    self.config = config
  }

  /// The same fold for a model whose keys are under a prefix.
  func under(_ prefix: KeyPattern) -> Fold {
    func moved(_ key: String) -> String { KeyPattern(key).under(prefix).description }
    return Fold(
      name, applies: applies, scalings: scalings.map { Scaling($0.pattern.under(prefix), $0.functions) },
      shared: shared.map { (moved($0.0), moved($0.1)) }, ties: ties, config: config)
  }

  /// The tensors of a state dict after the fold; keys may carry the optional prefix.
  ///
  /// Throws when the config lacks a value that a scaling needs. Complexity: O(tensors).
  func apply(to state: inout StateDict, _ config: ConfigObject) throws(ConfigFailure) {
    if ties(config) { separate(&state) }
    let index = PatternIndex(
      scalings.enumerated().map { (PatternIndex.Slot(rule: $0.offset, position: 0), $0.element.pattern) })
    var functions: [Int: [ElementFunction]] = [:]
    for (key, value) in state.values {
      guard let tensor = value.tensor else { continue }
      var segments = key.keySegments
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

  /// Puts a shared tensor under both of its keys.
  private func separate(_ state: inout StateDict) {
    for prefix in ["", Model.optionalPrefix] {
      for (first, second) in shared {
        for (key, twin) in [(prefix + first, prefix + second), (prefix + second, prefix + first)] {
          guard state.values[key]?.tensor == nil, let value = state.values[twin], value.tensor != nil else { continue }
          state.values[key] = value
        }
      }
    }
  }
}

extension Fold {
  /// The same fold for a component, which a path of the model's section describes.
  func inside(_ path: String) -> Fold {
    Fold(
      name, applies: { (document, model) in applies(document, model.section(at: path)) },
      scalings: scalings.map { scaling in
        Scaling(scaling.pattern) { (model) throws(ConfigFailure) in
          try Self.failing(inside: path) { () throws(ConfigFailure) in
            try scaling.functions(model.section(at: path))
          }
        }
      },
      shared: shared, ties: { ties($0.section(at: path)) },
      config: { (model) throws(ConfigFailure) in
        var model = model
        let section = try Self.failing(inside: path) { () throws(ConfigFailure) in
          try config(model.section(at: path))
        }
        model.setValue(.object(section), at: path)
        return model
      })
  }

  private static func failing<Value>(
    inside path: String, _ body: () throws(ConfigFailure) -> Value
  ) throws(ConfigFailure) -> Value {
    do throws(ConfigFailure) { return try body() } catch { throw error.under(path) }
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
