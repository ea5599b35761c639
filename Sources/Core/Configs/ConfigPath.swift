public import OrderedCollections

// A path names a value inside nested mappings: `extra_attention_params.num_kv_groups`. Segments are keys; a key that
// holds a dot itself cannot be reached by a path of more than one segment.
extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// The value at a path; nil when a step on the way is missing or is no mapping.
  public func value(at path: String) -> ConfigValue? {
    if let value = self[path] { return value }
    guard let dot = path.firstIndex(of: "."), case .object(let inside)? = self[String(path[..<dot])] else { return nil }
    return inside.value(at: String(path[path.index(after: dot)...]))
  }

  /// Sets the value at a path, making mappings on the way; what stood there and was no mapping is replaced.
  public mutating func setValue(_ value: ConfigValue, at path: String) {
    guard let dot = path.firstIndex(of: ".") else {
      self[path] = value
      return
    }
    let first = String(path[..<dot])
    var inside: ConfigObject = [:]
    if case .object(let present)? = self[first] { inside = present }
    inside.setValue(value, at: String(path[path.index(after: dot)...]))
    self[first] = .object(inside)
  }

  /// Removes and returns the value at a path. Mappings that become empty stay.
  @discardableResult public mutating func removeValue(at path: String) -> ConfigValue? {
    if let value = removeValue(forKey: path) { return value }
    guard let dot = path.firstIndex(of: "."), case .object(var inside)? = self[String(path[..<dot])] else { return nil }
    let removed = inside.removeValue(at: String(path[path.index(after: dot)...]))
    self[String(path[..<dot])] = .object(inside)
    return removed
  }

  /// The mapping at a path; empty when there is none.
  public func section(at path: String) -> ConfigObject {
    if path.isEmpty { return self }
    if case .object(let inside)? = value(at: path) { return inside }
    return [:]
  }
}
