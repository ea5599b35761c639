/// The values of a checkpoint: what a Python object tree holds, as plain values, with tensors as leaves.
///
/// A reader produces `ObjectTree<TensorDescriptor>`; a writer takes `ObjectTree<OutputTensor>`. Nothing in it refers to
/// a Python class, so nothing can be constructed or called.
package indirect enum ObjectTree<Tensor: Sendable & Hashable>: Sendable, Hashable {
  /// A tensor, as the container describes it.
  case tensor(Tensor)
  case none
  /// `True` or `False`.
  case bool(Bool)
  /// A Python integer that fits 64 bits.
  case int(Int)
  /// A longer Python integer, in decimal.
  case longInt(String)
  /// A Python float.
  case double(Double)
  /// A Python string. Code points that are no Unicode scalar values were replaced by U+FFFD.
  case string(String)
  /// A Python bytes object.
  case bytes([UInt8])
  /// A `dict`, or an `OrderedDict` when `ordered`; entries in insertion order, keys distinct.
  case dictionary([Entry], ordered: Bool)
  case list([ObjectTree])
  /// A `tuple`, also a `torch.Size`.
  case tuple([ObjectTree])
  /// A `set` or `frozenset`.
  case set([ObjectTree])
  /// A value that conversions carry along but never look into.
  case opaque(Opaque)

  /// One entry of a dictionary.
  package struct Entry: Sendable, Hashable {
    package var key: Key
    package var value: ObjectTree

    package init(_ key: Key, _ value: ObjectTree) {
      self.key = key
      self.value = value
    }
  }

  /// A dictionary key. Python allows any hashable value; checkpoints use these.
  package enum Key: Sendable, Hashable, CustomStringConvertible {
    case string(String)
    /// An integer key, as optimizer states use.
    case int(Int)
    /// A boolean key.
    case bool(Bool)
    case none
    /// A float key, by its bits.
    case double(Double)
    case tuple([Key])

    /// The key as Python's `str()` shows it, which is what paths are joined from.
    package var description: String {
      switch self {
      case .string(let text): text
      case .int(let number): "\(number)"
      case .bool(let flag): flag ? "True" : "False"
      case .none: "None"
      case .double(let number): "\(number)"
      case .tuple(let keys): "(" + keys.map(\.description).joined(separator: ", ") + ")"
      }
    }
  }

  /// Values of torch and Python that are neither numbers nor containers, by what they say.
  package enum Opaque: Sendable, Hashable {
    /// A `torch.dtype`, such as `torch.float32`. Any name torch has, not only those of `DType`.
    case dtype(String)
    /// A `torch.device`: type and optional index.
    case device(String, Int?)
    /// A complex number.
    case complex(Double, Double)
  }

  /// The value of a string key of a dictionary; nil for other trees and absent keys.
  ///
  /// Complexity: O(entries).
  package subscript(_ key: String) -> ObjectTree? {
    guard case .dictionary(let entries, _) = self else { return nil }
    return entries.first { $0.key == .string(key) }?.value
  }

  /// The same tree with each tensor replaced. Complexity: O(nodes).
  package func mapTensors<Other, Failure: Error>(
    _ transform: (Tensor) throws(Failure) -> Other
  ) throws(Failure) -> ObjectTree<Other> {
    switch self {
    case .tensor(let tensor): return .tensor(try transform(tensor))
    case .none: return .none
    case .bool(let value): return .bool(value)
    case .int(let value): return .int(value)
    case .longInt(let value): return .longInt(value)
    case .double(let value): return .double(value)
    case .string(let value): return .string(value)
    case .bytes(let value): return .bytes(value)
    case .dictionary(let entries, let ordered):
      var mapped: [ObjectTree<Other>.Entry] = []
      mapped.reserveCapacity(entries.count)
      for entry in entries {
        mapped.append(.init(entry.key.retyped(), try entry.value.mapTensors(transform)))
      }
      return .dictionary(mapped, ordered: ordered)
    case .list(let values): return .list(try Self.map(values, transform))
    case .tuple(let values): return .tuple(try Self.map(values, transform))
    case .set(let values): return .set(try Self.map(values, transform))
    case .opaque(.dtype(let name)): return .opaque(.dtype(name))
    case .opaque(.device(let type, let index)): return .opaque(.device(type, index))
    case .opaque(.complex(let real, let imaginary)): return .opaque(.complex(real, imaginary))
    }
  }

  private static func map<Other, Failure: Error>(
    _ values: [ObjectTree], _ transform: (Tensor) throws(Failure) -> Other
  ) throws(Failure) -> [ObjectTree<Other>] {
    var mapped: [ObjectTree<Other>] = []
    mapped.reserveCapacity(values.count)
    for value in values { mapped.append(try value.mapTensors(transform)) }
    return mapped
  }

  /// Visits every leaf with its path: dictionary keys and list positions joined with dots. Complexity: O(nodes).
  package func forEachLeaf(path: String = "", _ visit: (String, ObjectTree) -> Void) {
    func child(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
    switch self {
    case .dictionary(let entries, _):
      for entry in entries { entry.value.forEachLeaf(path: child(entry.key.description), visit) }
    case .list(let values), .tuple(let values), .set(let values):
      for (index, value) in values.enumerated() { value.forEachLeaf(path: child("\(index)"), visit) }
    default: visit(path, self)
    }
  }
}

extension ObjectTree.Key {
  /// The same key as the key type of another tree.
  func retyped<Other>() -> ObjectTree<Other>.Key {
    switch self {
    case .string(let text): .string(text)
    case .int(let number): .int(number)
    case .bool(let flag): .bool(flag)
    case .none: .none
    case .double(let number): .double(number)
    case .tuple(let keys): .tuple(keys.map { $0.retyped() })
    }
  }
}
