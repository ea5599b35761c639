internal import OrderedCollections

/// The shards of one checkpoint as one source: one dictionary of tensors, all storages in one array.
///
/// Safe to read from several threads, as each shard is. Holds one opened source for each shard and a table entry for
/// each storage, nothing that grows with the bytes.
struct ShardedSource: TensorSource {
  /// The container of the first shard. Shards may differ: a tensor is a tensor whatever file it comes from.
  let kind: ContainerKind
  /// One dictionary of tensors, in the order of the index.
  let tree: ObjectTree<TensorDescriptor>
  /// The storages of all shards, shard after shard.
  let storages: [StorageDescriptor]
  /// What the shards have to say, and tensors that lie in a shard beside the one that the index names.
  let notices: [Diagnostic]
  private let shards: [any TensorSource]
  /// Shard of each storage, and its place there.
  private let places: [(shard: Int, storage: StorageID)]

  /// Joins opened shards in the order of an index, whose name is `name` in errors.
  ///
  /// The index decides: a tensor that lies in another shard too is read from the one that the index names, and a notice says
  /// so. Throws `.unreadableInput` when a shard is missing, is no flat dictionary of tensors, lacks a tensor that the index
  /// places in it, or holds one that the index does not know.
  /// Complexity: O(tensors + storages).
  init(
    index: ShardIndex, name: String, shards: [(name: String, source: any TensorSource)]
  ) throws(ConversionError) {
    var join = ShardJoin(name: name)
    var byShard: [String: Int] = [:]
    for (position, shard) in shards.enumerated() {
      try join.add(shard.source, name: shard.name)
      byShard[shard.name] = position
    }
    var entries: [ObjectTree<TensorDescriptor>.Entry] = []
    entries.reserveCapacity(index.weightMap.count)
    var pacer = Interruption.Pacer()
    for (key, shard) in index.weightMap {
      try pacer.step()
      guard let position = byShard[shard] else {
        throw ConversionError(.unreadableInput, "\(name): the shard \(shard) of \(key) is missing")
      }
      guard let tensor = join.take(key, from: position) else {
        throw ConversionError(.unreadableInput, "\(name): \(key) is not in its shard \(shard)")
      }
      entries.append(.init(.string(key), .tensor(tensor)))
    }
    try join.setAside(index)
    self.init(join, entries: entries)
  }

  /// Joins opened shards without an index, in the order given: tensors stand in the order of the shards.
  ///
  /// Throws `.unreadableInput` as the other initialisers do, and when two shards hold a tensor of the same name.
  init(shards: [(name: String, source: any TensorSource)]) throws(ConversionError) {
    var join = ShardJoin(name: shards.first?.name ?? "the checkpoint")
    for shard in shards { try join.add(shard.source, name: shard.name) }
    self.init(join, entries: try join.takeAll())
  }

  private init(_ join: ShardJoin, entries: [ObjectTree<TensorDescriptor>.Entry]) {
    kind = join.kind ?? .safetensors
    tree = .dictionary(entries, ordered: true)
    storages = join.storages
    notices = join.notices + join.sources.flatMap(\.notices)
    places = join.places
    shards = join.sources
  }

  /// Reads from the shard that holds the storage. Throws as the shard does.
  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    let place = places[storage.index]
    try shards[place.shard].read(place.storage, at: offset, into: buffer)
  }
}

/// Shards being joined: their storages one after the other, and the tensors nobody has asked for yet.
private struct ShardJoin {
  let name: String
  private(set) var kind: ContainerKind?
  private(set) var sources: [any TensorSource] = []
  private(set) var storages: [StorageDescriptor] = []
  private(set) var places: [(shard: Int, storage: StorageID)] = []
  private(set) var notices: [Diagnostic] = []
  private var names: [String] = []
  private var order: [[String]] = []
  private var tensors: [[String: TensorDescriptor]] = []

  init(name: String) { self.name = name }

  mutating func add(_ source: any TensorSource, name shard: String) throws(ConversionError) {
    guard case .dictionary(let entries, _) = source.tree else {
      throw ConversionError(.unreadableInput, "\(shard) holds no dictionary of tensors, as a shard must")
    }
    if kind == nil { kind = source.kind }
    let base = storages.count
    var found: [String: TensorDescriptor] = [:]
    found.reserveCapacity(entries.count)
    var keys: [String] = []
    var pacer = Interruption.Pacer()
    for entry in entries {
      try pacer.step()
      guard case .string(let key) = entry.key, case .tensor(let tensor) = entry.value else {
        throw ConversionError(
          .unreadableInput, "\(shard): \(entry.key) is no tensor; a shard holds named tensors and nothing else")
      }
      let moved = TensorDescriptor(
        dtype: tensor.dtype, shape: tensor.shape, strides: tensor.strides,
        storage: StorageID(base + tensor.storage.index), offset: tensor.offset)
      guard found.updateValue(moved, forKey: key) == nil else {
        throw ConversionError(.unreadableInput, "\(shard) holds \(key) twice")
      }
      keys.append(key)
    }
    let position = sources.count
    storages.append(contentsOf: source.storages)
    places.append(contentsOf: source.storages.indices.map { (position, StorageID($0)) })
    sources.append(source)
    names.append(shard)
    order.append(keys)
    tensors.append(found)
  }

  mutating func take(_ key: String, from shard: Int) -> TensorDescriptor? {
    tensors[shard].removeValue(forKey: key)
  }

  /// Leaves out what nobody asked for: tensors that the index places in another shard. Throws for those it does not know.
  mutating func setAside(_ index: ShardIndex) throws(ConversionError) {
    var pacer = Interruption.Pacer()
    for (shard, rest) in tensors.enumerated() where !rest.isEmpty {
      var left: [String] = []
      for key in order[shard] where rest[key] != nil {
        try pacer.step()
        left.append(key)
      }
      if let stranger = left.first(where: { index.weightMap[$0] == nil }) {
        let others = rest.count > 1 ? " and \(rest.count - 1) more" : ""
        throw ConversionError(
          .unreadableInput, "\(name): \(names[shard]) holds \(stranger)\(others), which the index does not name")
      }
      let named = left.prefix(8).map { "\($0) (read from \(index.weightMap[$0] ?? ""))" }.joined(separator: ", ")
      let others = left.count > 8 ? " and \(left.count - 8) more" : ""
      notices.append(
        Diagnostic(
          .warning, .unreadableInput, .file(names[shard]),
          "\(name) decides where tensors that lie in two shards are read from: \(names[shard]) also holds \(named)\(others)"
        ))
    }
  }

  mutating func takeAll() throws(ConversionError) -> [ObjectTree<TensorDescriptor>.Entry] {
    var holder: [String: Int] = [:]
    var entries: [ObjectTree<TensorDescriptor>.Entry] = []
    for (shard, keys) in order.enumerated() {
      for key in keys {
        if let earlier = holder.updateValue(shard, forKey: key) {
          throw ConversionError(.unreadableInput, "\(key) is in two shards, \(names[earlier]) and \(names[shard])")
        }
        if let tensor = take(key, from: shard) { entries.append(.init(.string(key), .tensor(tensor))) }
      }
    }
    return entries
  }
}
