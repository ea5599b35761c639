import OrderedCollections

/// Applies the config rules of one hop in one direction to one model config.
struct ConfigEngine {
  private let rules: [ConfigRule]
  private let from: Side
  private let passesUnknownKeys: Bool

  /// An engine for the rules of a hop that exist for a config.
  init(hop: Route.Hop, config: ConfigObject) {
    let from = hop.from
    rules = hop.config.filter { rule in rule.condition.map { $0(from, config) } ?? true }
    self.from = from
    passesUnknownKeys = if case .revision = hop { true } else { false }
  }

  /// Work in progress: what was read, written and found.
  private struct State {
    var source: ConfigObject
    var target: ConfigObject = [:]
    var failures: [Diagnostic] = []
    var warnings: [Diagnostic] = []
    /// Rules over several keys that have run.
    var done: Set<Int> = []
    /// Keys that say nothing about the model.
    var idle: [String] = []

    mutating func attempt<Value>(_ rule: ConfigRule, _ work: () throws(ConfigFailure) -> Value?) -> Value? {
      do throws(ConfigFailure) { return try work() } catch {
        failures.append(
          Diagnostic(.error, .configNotConvertible, .config(error.key), error.message, origin: rule.origin))
        return nil
      }
    }

    mutating func warn(_ key: String, _ message: String, _ origin: Origin? = nil) {
      warnings.append(Diagnostic(.warning, .configNotConvertible, .config(key), message, origin: origin))
    }
  }

  /// The source with defaults filled in, and the target.
  ///
  /// Throws `.configNotConvertible` with one diagnostic for each key at fault. Complexity: O(keys + rules).
  func convert(
    _ input: ConfigObject, warnings: inout [Diagnostic]
  ) throws(ConversionError) -> (source: ConfigObject, target: ConfigObject) {
    var state = State(source: input)
    prepare(&state)
    var claims: [String: Int] = [:]
    var sections: Set<String> = []
    for (number, rule) in rules.enumerated() {
      for key in rule.claimedKeys(on: from) where claims[key] == nil {
        claims[key] = number
        var path = key[...]
        while let dot = path.lastIndex(of: ".") {
          path = path[..<dot]
          sections.insert(String(path))
        }
      }
    }
    let foreign = Dictionary(
      rules.compactMap { rule in rule.foreignKey(on: from).map { ($0, rule) } }, uniquingKeysWith: { first, _ in first }
    )
    walk(state.source, under: "", claims: claims, sections: sections, foreign: foreign, &state)
    for number in rules.indices { translate(number, &state) }
    if state.failures.isEmpty {
      for rule in rules {
        guard case .fill(from.other, let key, let overwrites, let complete) = rule.action,
          overwrites || state.target.value(at: key) == nil
        else { continue }
        let (source, target) = (state.source, state.target)
        if let value = state.attempt(rule, { () throws(ConfigFailure) in try complete(source, target) }) {
          state.target.setValue(value, at: key)
        }
      }
    }
    if let first = state.idle.first {
      let keys = state.idle.map { "'\($0)'" }.joined(separator: ", ")
      state.warn(first, "Left out, because the target has no such setting and the model does not depend on it: \(keys)")
    }
    if !state.failures.isEmpty { throw .configRefused(state.failures, warnings: warnings + state.warnings) }
    warnings += state.warnings
    return (state.source, state.target)
  }

  /// Checks the whole source, and fills in what it leaves out.
  private func prepare(_ state: inout State) {
    for rule in rules {
      let source = state.source
      switch rule.action {
      case .check(from, let condition):
        _ = state.attempt(rule) { () throws(ConfigFailure) -> Void? in try condition(source) }
      case .refuse(from, let key, let harmless, let reason):
        guard let value = source.value(at: key), !harmless.contains(where: { $0.isEqualInPython(value) }) else {
          continue
        }
        let message = "Can't convert config with \(key)=\(value.pythonDescription): \(reason)."
        state.failures.append(
          Diagnostic(.error, .configNotConvertible, .config(key), message, origin: rule.origin))
      case .assume(from, let key, let orNull, let derive):
        let present = source.value(at: key)
        guard present == nil || orNull && present == .null else { continue }
        if let value = state.attempt(rule, { () throws(ConfigFailure) in try derive(source) }) {
          state.source.setValue(value, at: key)
        }
      case .caution(from, let key, let sentence):
        if let sentence = sentence(source) { state.warn(key, sentence, rule.origin) }
      default: break
      }
    }
  }

  /// Converts the keys of a section, and of the sections inside it that rules know.
  private func walk(
    _ section: ConfigObject, under prefix: String, claims: [String: Int], sections: Set<String>,
    foreign: [String: ConfigRule], _ state: inout State
  ) {
    for (name, value) in section {
      let key = prefix + name
      if let number = claims[key] {
        convert(key, value, number, &state)
      } else if sections.contains(key), let inside = value.members {
        walk(inside, under: key + ".", claims: claims, sections: sections, foreign: foreign, &state)
      } else if let rule = foreign[key] {
        _ = state.attempt(rule) { () throws(ConfigFailure) -> Void? in
          throw ConfigFailure(key, "\(key) should not appear in the config: it belongs to the other format.")
        }
      } else if passesUnknownKeys {
        // A name of an unknown key may hold dots that are no path.
        if prefix.isEmpty { state.target[name] = value } else { state.target.setValue(value, at: key) }
      } else {
        state.warn(key, "Key not matched: \(key)")
      }
    }
  }

  private func convert(_ key: String, _ value: ConfigValue, _ number: Int, _ state: inout State) {
    let rule = rules[number]
    let source = state.source
    switch rule.action {
    case .key(let left, let right, let type, let forward, let backward):
      let mapping = from == .left ? forward : backward
      guard let checked = state.attempt(rule, { () throws(ConfigFailure) in try type.checked(value, key: key) }) else {
        return
      }
      if let warning = checked.warning {
        state.source.setValue(checked.value, at: key)
        state.warn(key, warning, rule.origin)
      }
      let mapped = state.attempt(rule) { () throws(ConfigFailure) in
        if let mapping { try mapping(checked.value, source) } else { checked.value }
      }
      if let mapped { state.target.setValue(mapped, at: from == .left ? right : left) }
    case .keys: translate(number, &state)
    case .require(_, _, let allowed):
      if !allowed.contains(where: { $0.isEqualInPython(value) }) {
        _ = state.attempt(rule) { () throws(ConfigFailure) -> Void? in
          throw .unsupported(key, value, supported: allowed)
        }
      }
    case .describesNothing: state.idle.append(key)
    case .ignore, .assume, .fill, .check, .caution, .refuse: break
    }
  }

  /// Runs a rule over several keys, once.
  private func translate(_ number: Int, _ state: inout State) {
    let rule = rules[number]
    guard case .keys(_, _, let forward, let backward) = rule.action, state.done.insert(number).inserted else { return }
    let source = state.source
    let translation = from == .left ? forward : backward
    guard let written = state.attempt(rule, { () throws(ConfigFailure) in try translation(source) }) else { return }
    for (path, value) in written { state.target.setValue(value, at: path) }
  }
}

extension ConfigValue {
  /// What a mapping or a list holds, by key or position; nil for anything else.
  fileprivate var members: ConfigObject? {
    switch self {
    case .object(let object): object
    case .array(let items) where !items.isEmpty:
      ConfigObject(uniqueKeysWithValues: items.enumerated().map { ("\($0)", $1) })
    default: nil
    }
  }
}
