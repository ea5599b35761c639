import OrderedCollections

/// What trainers put around the keys of a model, and around its state dict.
///
/// Nothing here knows a model: the rules of the first steps of a route say which keys are the model's (`KnownKeys`), and a
/// wrapper is taken off where that makes a key one of them.
struct TrainerWrappers {
  private let known: KnownKeys
  /// How often each text was taken off.
  private(set) var removed = OrderedDictionary<String, Int>()

  /// The first segment that `mayBeWrapped` saw last.
  private var lastFirst: (text: Substring, isOuter: Bool) = ("", false)

  /// Names of modules that hold the whole model: DistributedDataParallel, torch.compile, Lightning, DeepSpeed, PEFT, TRL,
  /// Opacus, FSDP and others.
  private static let outer: Set<Substring> = [
    "module", "_orig_mod", "model", "_forward_module", "base_model", "pretrained_model", "_module", "net", "network",
    "wrapped_model", "inner_model", "_model", "lm", "llm",
  ]
  /// Names of modules that trainers put around parts of a model; no model has them itself.
  private static let inner: Set<Substring> = [
    "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod", "_fpw_module", "_forward_module",
  ]

  /// No trainer nests deeper.
  private static let deepest = 16

  /// Wrappers around the keys of a model.
  init(_ known: KnownKeys) { self.known = known }

  /// The key of the model inside a wrapped key; nil when it is no key of the model, wrapped or not.
  ///
  /// Inner wrappers are taken off wherever they stand, outer ones from the front, one after the other, until the rest is a
  /// key of the model. Complexity: O(segments), up to `deepest` times.
  func unwrapped(_ key: String) -> String? {
    if known.contains(key) { return key }
    return inside(key)?.key
  }

  private func inside(_ key: String) -> (key: String, wrappers: [String])? {
    let segments = key.split(separator: ".", omittingEmptySubsequences: false)
    var rest: [Substring] = []
    var wrappers: [String] = []
    for segment in segments {
      if Self.inner.contains(segment) { wrappers.append("\(segment).") } else { rest.append(segment) }
    }
    guard !wrappers.isEmpty || rest.first.map(Self.outer.contains) ?? false else { return nil }
    var front = ""
    for _ in 0...Self.deepest {
      let candidate = rest.joined(separator: ".")
      if candidate.utf8.count < key.utf8.count, known.claims(candidate) {
        return (candidate, front.isEmpty ? wrappers : [front] + wrappers)
      }
      guard let first = rest.first, Self.outer.contains(first) else { return nil }
      front += "\(first)."
      rest.removeFirst()
    }
    return nil
  }

  /// New names for the keys of a state dict, in their order: those of the model without wrappers, all others as they are.
  ///
  /// Throws `.unreadableInput` when one key stands there twice, with a wrapper and without. Complexity: O(keys).
  mutating func renamed(_ keys: [String]) throws(ConversionError) -> [String] {
    var pacer = Interruption.Pacer()
    var names: [String] = []
    names.reserveCapacity(keys.count)
    for key in keys {
      try pacer.step()
      guard mayBeWrapped(key), !known.contains(key), let found = inside(key) else {
        names.append(key)
        continue
      }
      for wrapper in found.wrappers { removed[wrapper, default: 0] += 1 }
      names.append(found.key)
    }
    guard !removed.isEmpty else { return keys }
    var origins: [String: String] = [:]
    for (name, key) in zip(names, keys) {
      if let other = origins.updateValue(key, forKey: name) {
        throw ConversionError(
          .unreadableInput,
          "The checkpoint holds the model twice: '\(other)' and '\(key)' are both '\(name)'. Save one of them alone.")
      }
    }
    return names
  }

  /// True for every wrapped key, and for few others: a quick look at keys that nearly always have no wrapper.
  private mutating func mayBeWrapped(_ key: String) -> Bool {
    // All inner wrappers begin with an underscore.
    var beginsSegment = true
    for byte in key.utf8 {
      if beginsSegment, byte == UInt8(ascii: "_") { return true }
      beginsSegment = byte == UInt8(ascii: ".")
    }
    let first = Substring(key.utf8.prefix { $0 != UInt8(ascii: ".") })
    // Neighbours mostly begin alike.
    if first != lastFirst.text { lastFirst = (first, Self.outer.contains(first)) }
    return lastFirst.isOuter
  }

  /// One warning for everything that was taken off; nil when nothing was.
  var warning: Diagnostic? {
    guard !removed.isEmpty else { return nil }
    let named = removed.map { "'\($0.key)' (\($0.value) keys)" }.joined(separator: ", ")
    return Diagnostic(
      .warning, .stateDictMismatch, .conversion,
      "Names that a trainer put around those of the model are taken off the keys: \(named)")
  }
}

/// The search for the dictionary that holds the keys of a model, at the top of a checkpoint or up to two levels inside.
struct StateDictSearch {
  typealias Entries = [ObjectTree<TensorDescriptor>.Entry]

  /// A dictionary that holds tensors.
  struct Place {
    /// Keys of the dictionaries around it, joined with dots; empty for the top.
    let path: String
    let entries: Entries
    /// Tensors under keys of the model.
    var score = 0
  }

  /// Names under which trainers keep the state dict of a model; of equally good places the first counts.
  private static let names = [
    "model", "state_dict", "module", "model_state_dict", "model_state", "state", "weights", "net", "network", "params",
    "generator", "ema", "model_ema", "ema_model",
  ]

  private let places: [Place]

  /// Every dictionary that holds a tensor. Complexity: O(entries of the top and of two levels inside).
  init(_ tree: ObjectTree<TensorDescriptor>) {
    var places: [Place] = []
    func visit(_ tree: ObjectTree<TensorDescriptor>, _ path: String, _ depth: Int) {
      func child(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
      switch tree {
      case .dictionary(let entries, _):
        var holdsTensor = false
        for entry in entries {
          switch entry.value {
          case .tensor: holdsTensor = true
          case .dictionary, .list, .tuple: if depth < 2 { visit(entry.value, child(entry.key.description), depth + 1) }
          default: break
          }
        }
        if holdsTensor { places.append(Place(path: path, entries: entries)) }
      case .list(let items), .tuple(let items):
        // A pair such as (state_dict, optimizer); a long list holds something else.
        guard items.count <= 8 else { return }
        for (index, item) in items.enumerated() {
          if case .dictionary = item { visit(item, child("[\(index)]"), depth) }
        }
      default: break
      }
    }
    visit(tree, "", 0)
    self.places = places
  }

  /// The place with most tensors of the model, when that is not `usual`, where its format keeps it; nil otherwise.
  ///
  /// Throws `.unreadableInput` when two places are equally good and neither bears a usual name.
  /// Complexity: O(keys), nothing when the usual place is the only one.
  func better(than usual: String?, wrappers: TrainerWrappers) throws(ConversionError) -> Place? {
    guard places.contains(where: { $0.path != usual }) else { return nil }
    var scored: [Place] = []
    var pacer = Interruption.Pacer()
    for var place in places {
      for entry in place.entries {
        try pacer.step()
        guard case .tensor = entry.value, case .string(let key) = entry.key else { continue }
        if wrappers.unwrapped(key) != nil { place.score += 1 }
      }
      if place.score > 0 { scored.append(place) }
    }
    let most = scored.map(\.score).max() ?? 0
    let best = scored.filter { $0.score == most }
    guard let first = best.first, !best.contains(where: { $0.path == usual }) else { return nil }
    if best.count == 1 { return first }
    func rank(_ place: Place) -> Int {
      Self.names.firstIndex(of: String(place.path.split(separator: ".").last ?? "")) ?? Self.names.count
    }
    let ranked = best.sorted { rank($0) < rank($1) }
    guard rank(ranked[0]) < rank(ranked[1]) else {
      let list = best.prefix(4).map { "'\($0.path)'" }.joined(separator: " and ")
      throw ConversionError(
        .unreadableInput, "The checkpoint holds the model more than once, under \(list). Save one of them alone.")
    }
    return ranked[0]
  }
}
