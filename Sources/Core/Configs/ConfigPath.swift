package import OrderedCollections

// A path names a value inside nested mappings: `extra_attention_params.num_kv_groups`. Segments are keys, or inside a list
// positions: `image_models.0.image_encoder`. A key that holds a dot itself cannot be reached by a path of more than one
// segment.
extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// The value at a path; nil when a step on the way is missing or is no mapping and no list.
  package func value(at path: String) -> ConfigValue? {
    if let value = self[path] { return value }
    guard let dot = path.firstIndex(of: ".") else { return nil }
    return self[String(path[..<dot])]?.value(at: path[path.index(after: dot)...])
  }

  /// Sets the value at a path, making mappings on the way, and lists where the path has the position 0; what stood there
  /// and was neither is replaced.
  package mutating func setValue(_ value: ConfigValue, at path: String) {
    guard let dot = path.firstIndex(of: ".") else {
      self[path] = value
      return
    }
    let first = String(path[..<dot])
    self[first] = ConfigValue.setting(value, at: path[path.index(after: dot)...], in: self[first])
  }

  /// Removes and returns the value at a path. Mappings that become empty stay, and so does the rest of a list.
  @discardableResult package mutating func removeValue(at path: String) -> ConfigValue? {
    if let value = removeValue(forKey: path) { return value }
    guard let dot = path.firstIndex(of: "."), let removed = value(at: path) else { return nil }
    let first = String(path[..<dot])
    self[first] = self[first]?.removing(at: path[path.index(after: dot)...])
    return removed
  }

  /// The mapping at a path; empty when there is none.
  package func section(at path: String) -> ConfigObject {
    if path.isEmpty { return self }
    if case .object(let inside)? = value(at: path) { return inside }
    return [:]
  }
}

extension ConfigValue {
  fileprivate func value(at path: Substring) -> ConfigValue? {
    switch self {
    case .object(let inside): return inside.value(at: String(path))
    case .array(let items):
      let (position, rest) = Self.position(path)
      guard let position, items.indices.contains(position) else { return nil }
      return rest.isEmpty ? items[position] : items[position].value(at: rest)
    default: return nil
    }
  }

  /// What `old` becomes when the value at a path inside of it is set.
  fileprivate static func setting(_ value: ConfigValue, at path: Substring, in old: ConfigValue?) -> ConfigValue {
    if case .object(var inside)? = old {
      inside.setValue(value, at: String(path))
      return .object(inside)
    }
    var items: [ConfigValue] = []
    if case .array(let present)? = old { items = present }
    let (position, rest) = position(path)
    guard let position, position <= items.count else {
      var inside = ConfigObject()
      inside.setValue(value, at: String(path))
      return .object(inside)
    }
    let present = position < items.count ? items[position] : nil
    let item = rest.isEmpty ? value : setting(value, at: rest, in: present)
    if present == nil { items.append(item) } else { items[position] = item }
    return .array(items)
  }

  fileprivate func removing(at path: Substring) -> ConfigValue {
    switch self {
    case .object(var inside):
      inside.removeValue(at: String(path))
      return .object(inside)
    case .array(var items):
      let (position, rest) = Self.position(path)
      guard let position, items.indices.contains(position) else { return self }
      if rest.isEmpty { items.remove(at: position) } else { items[position] = items[position].removing(at: rest) }
      return .array(items)
    default: return self
    }
  }

  /// The position that a path begins with, if it is one, and what follows.
  private static func position(_ path: Substring) -> (position: Int?, rest: Substring) {
    let first = path.prefix { $0 != "." }
    let isNumber = first.utf8.allSatisfy { (48...57).contains($0) }
    return (isNumber ? Int(first) : nil, path[first.endIndex...].dropFirst())
  }
}
