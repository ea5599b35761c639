/// A value on the stack of the pickle machine: plain data, or the index of a node that may be shared.
///
/// Nodes live in a flat `PickleHeap` and refer to each other by index, so that neither nesting nor cycles can overflow
/// the stack, not even when the values are freed.
enum PickleValue {
  case none
  case bool(Bool)
  case int(Int)
  /// An integer beyond 64 bits, in decimal.
  case longInt(String)
  case double(Double)
  case string(String)
  case bytes([UInt8])
  case global(PickleGlobal)
  case opaque(PickleTree.Opaque)
  /// A storage that a persistent id named.
  case storage(PickleStorage)
  case node(Int)
}

/// A value that is changed after it was made, or that holds others.
enum PickleNode {
  case list([PickleValue])
  case tuple([PickleValue])
  case set([PickleValue])
  /// Keys and values in turn, in the order they were set; a key may come twice.
  case dictionary([PickleValue], ordered: Bool)
  case tensor(TensorDescriptor)
  /// A `numpy.dtype`, complete once its state was set.
  case numpyDType(NumpyDType)
  /// A `numpy.ndarray` before its state is set.
  case unfilledArray
}

/// The tree that a pickle describes.
typealias PickleTree = ObjectTree<TensorDescriptor>

/// What a persistent id of torch stands for: a storage, or a part of one.
struct PickleStorage {
  /// The storage.
  let id: StorageID
  /// Element type of the storage class; nil for an untyped one.
  let dtype: DType?
  /// First byte that tensors on it start counting from.
  let byteOffset: Int
  /// Bytes from the start of the storage that tensors may reach.
  let byteCount: Int
  /// The key in the container, for messages.
  let key: String
}

/// The fields of a persistent id `("storage", class, key, location, count[, view])`, each of the right type.
struct PersistentID {
  /// Element type of the storage class; nil for an untyped one.
  let dtype: DType?
  /// The key in the container.
  let key: String
  /// Elements; bytes for an untyped storage.
  let count: Int
  /// `(key, offset, count)` of a storage that is part of another; only legacy streams have them.
  let view: (offset: Int, count: Int)?

  /// Bytes of `elements` elements of this storage; nil when the number is negative or overflows.
  func bytes(_ elements: Int) -> Int? {
    let (bytes, overflow) = elements.multipliedReportingOverflow(by: dtype?.size ?? 1)
    return overflow || elements < 0 ? nil : bytes
  }
}

/// Gives the machine the storages that a pickle names.
protocol PickleStorageResolver {
  /// The storage of a persistent id. Throws when the container holds no such storage or one that is too small.
  mutating func storage(_ id: PersistentID) throws(ConversionError) -> PickleStorage

  /// Takes over bytes that lie in the pickle itself, such as those of a numpy array.
  mutating func inlineStorage(_ bytes: [UInt8]) throws(ConversionError) -> StorageID
}

/// The nodes of one pickle. Freed flat, whatever refers to what.
struct PickleHeap {
  private(set) var nodes: [PickleNode] = []

  /// Adds a node and returns the value that refers to it.
  mutating func add(_ node: PickleNode) -> PickleValue {
    nodes.append(node)
    return .node(nodes.count - 1)
  }

  /// The node that a value refers to.
  subscript(_ value: PickleValue) -> PickleNode? {
    guard case .node(let index) = value else { return nil }
    return nodes[index]
  }

  /// The items of a tuple; nil for any other value.
  func tuple(_ value: PickleValue) -> [PickleValue]? {
    if case .tuple(let items)? = self[value] { items } else { nil }
  }

  /// The items of a list; nil for any other value.
  func list(_ value: PickleValue) -> [PickleValue]? {
    if case .list(let items)? = self[value] { items } else { nil }
  }

  /// Replaces a node.
  mutating func replace(_ index: Int, with node: PickleNode) { nodes[index] = node }

  /// Appends to the items of a list, set or dictionary in place. False when the node is none of these.
  mutating func append(_ items: ArraySlice<PickleValue>, to index: Int, as kind: Collection) -> Bool {
    // The node is taken out while it changes, so that its array is not copied.
    let node = nodes[index]
    nodes[index] = .unfilledArray
    switch (node, kind) {
    case (.list(var values), .list):
      values.append(contentsOf: items)
      nodes[index] = .list(values)
    case (.set(var values), .set):
      values.append(contentsOf: items)
      nodes[index] = .set(values)
    case (.dictionary(var values, let ordered), .dictionary):
      values.append(contentsOf: items)
      nodes[index] = .dictionary(values, ordered: ordered)
    default:
      nodes[index] = node
      return false
    }
    return true
  }

  /// The kinds of node that grow.
  enum Collection: String {
    case list, set, dictionary
  }
}
