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
}
