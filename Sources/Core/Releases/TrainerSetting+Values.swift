import OrderedCollections

extension TrainerSetting.Kind {
  /// The value for the newer layout; nil when a value of the older is not of this kind.
  func value(_ value: ConfigValue) -> ConfigValue? {
    switch (self, value) {
    case (.nullable, .null): return value
    case (.levels, .string): return ["": value]
    case (.scalar, .number), (.scalar, .string), (.scalar, .bool): return value
    case (.scalar, _): return nil
    case (.section, .object), (.section, .array): return value.isNothing ? nil : value
    case (.collection, .object), (.collection, .array), (.levels, .object):
      let cleaned = value.cleaned
      return cleaned.isNothing ? nil : cleaned
    case (.section, _), (.collection, _), (.levels, _): return nil
    case (.value, _), (.nullable, _):
      let cleaned = value.cleaned
      return cleaned.isNothing ? nil : cleaned
    }
  }
}

extension TrainerSetting {
  /// The value for the older layout.
  func older(_ value: ConfigValue) -> ConfigValue {
    switch kind {
    case .levels:
      if case .object(let levels) = value, levels.keys == [""], let level = levels[""] { return level }
    case .section where legacy == "sparsity":
      if case .object(let sparsity) = value, sparsity.keys == ["sparsity"], case .number = sparsity["sparsity"] {
        return sparsity["sparsity"] ?? value
      }
    default: break
    }
    return value
  }
}

extension ConfigValue {
  /// True for null and for empty mappings and lists.
  var isNothing: Bool {
    switch self {
    case .null: true
    case .array(let values): values.isEmpty
    case .object(let object): object.isEmpty
    default: false
    }
  }

  /// The value without nulls and empty collections in it.
  var cleaned: ConfigValue {
    switch self {
    case .object(let object): .object(object.mapValues(\.cleaned).filter { !$0.value.isNothing })
    case .array(let values): .array(values.map(\.cleaned).filter { !$0.isNothing })
    default: self
    }
  }

  /// True for a switch that is on.
  var isOn: Bool { if case .object = self { true } else { isTruthyInPython } }

  /// The mapping under the only key of this mapping, if that is `key`.
  func under(_ key: String) -> ConfigObject? {
    guard case .object(let object) = self, object.count == 1, case .object(let inside) = object[key] else { return nil }
    return inside
  }

  /// What Python's `float()` gives for numbers, booleans and texts of numbers; nil for anything else.
  var pythonFloat: Double? {
    switch self {
    case .string(let text): Double(text.replacing("_", with: ""))
    default: numberInPython?.double
    }
  }
}

extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// The mapping without mappings and lists that hold nothing, at any depth. Nulls stay.
  var withoutEmptySections: ConfigObject {
    var result = ConfigObject()
    for (key, value) in self {
      switch value {
      case .object(let object):
        let inside = object.withoutEmptySections
        if !inside.isEmpty { result[key] = .object(inside) }
      case .array(let values) where values.isEmpty: break
      default: result[key] = value
      }
    }
    return result
  }

  /// The paths of everything that is no mapping.
  func leaves(under prefix: String) -> [String] {
    flatMap { key, value in
      if case .object(let object) = value, !object.isEmpty { return object.leaves(under: "\(prefix).\(key)") }
      return ["\(prefix).\(key)"]
    }
  }
}
