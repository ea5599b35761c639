import OrderedCollections

/// A place in a params document: the keys on the way down from the top.
///
/// `"runconfig.num_csx"` has two keys. Keys that hold a dot themselves need the list form:
/// `["init", "callbacks", "GlobalFlags", "csx.debug.ini"]`.
struct DocumentPath: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral,
  CustomStringConvertible
{
  /// The keys, outermost first.
  let keys: [String]

  /// A place by its keys.
  init(_ keys: [String]) { self.keys = keys }
  /// A place by its keys, joined with dots.
  init(stringLiteral value: String) { keys = value.split(separator: ".").map(String.init) }
  /// A place by its keys.
  init(arrayLiteral elements: String...) { keys = elements }

  /// The keys joined with dots, as messages show it.
  var description: String { keys.joined(separator: ".") }

  /// The place of a key below this one.
  func appending(_ key: String) -> DocumentPath { DocumentPath(keys + [key]) }
}

extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// The value at a place; nil when a key on the way is absent or no mapping.
  ///
  /// Setting a value makes the mappings on the way, in place of anything else that stands there. Setting nil removes the
  /// last key and leaves the mappings around it, even empty. Complexity: O(keys of the path).
  subscript(at path: DocumentPath) -> ConfigValue? {
    get { self[below: path.keys[...]] }
    set { self[below: path.keys[...]] = newValue }
  }

  private subscript(below keys: ArraySlice<String>) -> ConfigValue? {
    get {
      guard let first = keys.first, let value = self[first] else { return nil }
      guard keys.count > 1 else { return value }
      guard case .object(let object) = value else { return nil }
      return object[below: keys.dropFirst()]
    }
    set {
      guard let first = keys.first else { return }
      guard keys.count > 1 else {
        self[first] = newValue
        return
      }
      var object = ConfigObject()
      if case .object(let present) = self[first] {
        object = present
      } else if newValue == nil {
        return
      }
      object[below: keys.dropFirst()] = newValue
      self[first] = .object(object)
    }
  }

  /// Removes the value at a place and returns it.
  @discardableResult mutating func take(_ path: DocumentPath) -> ConfigValue? {
    guard let value = self[at: path] else { return nil }
    self[at: path] = nil
    return value
  }
}
