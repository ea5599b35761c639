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
struct PickleNode {
  /// What a node stands for.
  enum Kind {
    case list
    case tuple
    case set
    case dictionary(ordered: Bool)
    case tensor(TensorDescriptor)
    /// A `numpy.dtype`, complete once its state was set.
    case numpyDType(NumpyDType)
    /// An instance of a class, before its attributes are set; its items are what it was made from.
    case object(String)
    /// A `numpy.ndarray` before its state is set.
    case unfilledArray
  }

  var kind: Kind
  /// What a container holds; for a dictionary keys and values in turn, in the order they were set, a key perhaps twice.
  /// Apart from the kind, so that it grows in place.
  var items: [PickleValue] = []
}

/// The tree that a pickle describes.
typealias PickleTree = ObjectTree<TensorDescriptor>

/// What a persistent id of torch stands for: a storage, or a part of one.
struct PickleStorage {
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

  /// The bytes of such a storage; nil for storages that lie elsewhere.
  func inlineBytes(_ storage: StorageID) -> [UInt8]?
}

extension PickleStorageResolver {
  /// Nil: no bytes are kept.
  func inlineBytes(_ storage: StorageID) -> [UInt8]? { nil }
}

/// The nodes of one pickle. Freed flat, whatever refers to what.
struct PickleHeap {
  private(set) var nodes: [PickleNode] = []
  /// Items of all nodes together.
  private(set) var itemCount = 0

  /// Adds a node and returns the value that refers to it.
  mutating func add(_ kind: PickleNode.Kind, _ items: [PickleValue] = []) -> PickleValue {
    nodes.append(PickleNode(kind: kind, items: items))
    itemCount += items.count
    return .node(nodes.count - 1)
  }

  /// What the node of a value stands for; nil for plain data.
  func kind(_ value: PickleValue) -> PickleNode.Kind? {
    guard case .node(let index) = value else { return nil }
    return nodes[index].kind
  }

  /// The items of a tuple; nil for any other value.
  func tuple(_ value: PickleValue) -> [PickleValue]? {
    guard case .node(let index) = value, case .tuple = nodes[index].kind else { return nil }
    return nodes[index].items
  }

  /// The items of a list; nil for any other value.
  func list(_ value: PickleValue) -> [PickleValue]? {
    guard case .node(let index) = value, case .list = nodes[index].kind else { return nil }
    return nodes[index].items
  }

  /// The keys and values of a dictionary in turn; nil for any other value.
  func dictionary(_ value: PickleValue) -> [PickleValue]? {
    guard case .node(let index) = value, case .dictionary = nodes[index].kind else { return nil }
    return nodes[index].items
  }

  /// Makes a node stand for something else.
  mutating func change(_ index: Int, to kind: PickleNode.Kind) { nodes[index].kind = kind }

  /// Makes a node stand for something else that holds other values.
  mutating func change(_ index: Int, to kind: PickleNode.Kind, items: [PickleValue]) {
    nodes[index] = PickleNode(kind: kind, items: items)
  }

  /// Appends to a list, set or dictionary. False when the node is none of that kind.
  ///
  /// Complexity: O(items), amortised.
  mutating func append(_ items: some Sequence<PickleValue>, to index: Int, as kind: Collection) -> Bool {
    switch (nodes[index].kind, kind) {
    case (.list, .list), (.set, .set), (.dictionary, .dictionary):
      let before = nodes[index].items.count
      nodes[index].items.append(contentsOf: items)
      itemCount += nodes[index].items.count - before
      return true
    // A class of one's own that derives from `dict` or `list`.
    case (.object, .dictionary), (.object, .list):
      nodes[index] = PickleNode(kind: kind == .list ? .list : .dictionary(ordered: false), items: Array(items))
      return true
    default: return false
    }
  }

  /// The kinds of node that grow.
  enum Collection: String {
    case list, set, dictionary
  }
}
