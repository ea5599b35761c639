import OrderedCollections

extension ObjectTree {
  /// Puts a value under a string key of a dictionary; nil removes the key. Other trees stay as they are.
  ///
  /// Complexity: O(entries).
  mutating func put(_ value: ObjectTree?, under key: String) {
    guard case .dictionary(var entries, let ordered) = self else { return }
    let index = entries.firstIndex { $0.key == .string(key) }
    switch (index, value) {
    case (let index?, let value?): entries[index].value = value
    case (let index?, nil): entries.remove(at: index)
    case (nil, let value?): entries.append(Entry(.string(key), value))
    case (nil, nil): break
    }
    self = .dictionary(entries, ordered: ordered)
  }

  /// The entries of a dictionary whose keys begin with the name of a component and a dot, without that.
  ///
  /// Complexity: O(entries).
  func component(_ name: String) -> ObjectTree {
    guard case .dictionary(let entries, let ordered) = self else { return .dictionary([], ordered: true) }
    let inside = entries.compactMap { entry -> Entry? in
      guard case .string(let key) = entry.key, key.hasPrefix("\(name).") else { return nil }
      return Entry(.string(String(key.dropFirst(name.count + 1))), entry.value)
    }
    return .dictionary(inside, ordered: ordered)
  }

  /// The values of a config document as Python holds them once it is read. A date or a time becomes its text.
  init(_ value: ConfigValue) {
    switch value {
    case .null: self = .none
    case .bool(let flag): self = .bool(flag)
    case .number(let number):
      switch number.value {
      case .int(let int): self = .int(int)
      case .bigInt(let digits): self = .longInt(digits)
      case .double(let double): self = .double(double)
      }
    case .string(let text), .timestamp(let text): self = .string(text)
    case .array(let values): self = .list(values.map { ObjectTree($0) })
    case .object(let object):
      self = .dictionary(object.map { Entry(Key(config: $0.key), ObjectTree($0.value)) }, ordered: false)
    }
  }
}

extension ObjectTree.Key {
  /// The key of a `ConfigObject`, see `ConfigKey`.
  fileprivate init(config key: String) {
    switch ConfigKey(key) {
    case .scalar(.null): self = .none
    case .scalar(.bool(let flag)): self = .bool(flag)
    case .scalar(.number(let number)):
      switch number.value {
      case .int(let int): self = .int(int)
      case .double(let double): self = .double(double)
      case .bigInt(let digits): self = .string(digits)
      }
    case .string(let text): self = .string(text)
    case .scalar(let value): self = .string(value.pythonDescription)
    }
  }
}
