/// The checkpoints of the components of one model as one source: an entry for each in the tree, all storages in one array.
///
/// Safe to read from several threads, as each part is. Holds a table entry for each storage, nothing that grows with the
/// bytes.
struct ComposedSource: TensorSource {
  /// The container of the first component. They may differ.
  let kind: ContainerKind
  /// The tree of each component under its name.
  let tree: ObjectTree<TensorDescriptor>
  /// The storages of all components, one after the other.
  let storages: [StorageDescriptor]
  /// What the components have to say.
  let notices: [Diagnostic]
  private let parts: [any TensorSource]
  /// Component of each storage, and its place there.
  private let places: [(part: Int, storage: StorageID)]

  /// Joins opened checkpoints. Precondition: there is one at least. Complexity: O(tensors + storages).
  init(_ components: [(name: String, source: any TensorSource)]) {
    var storages: [StorageDescriptor] = []
    var places: [(part: Int, storage: StorageID)] = []
    var entries: [ObjectTree<TensorDescriptor>.Entry] = []
    for (position, component) in components.enumerated() {
      let base = storages.count
      let tree = component.source.tree.mapTensors { tensor in
        TensorDescriptor(
          dtype: tensor.dtype, shape: tensor.shape, strides: tensor.strides,
          storage: StorageID(base + tensor.storage.index), offset: tensor.offset)
      }
      entries.append(.init(.string(component.name), tree))
      storages.append(contentsOf: component.source.storages)
      places.append(contentsOf: component.source.storages.indices.map { (position, StorageID($0)) })
    }
    kind = components.first?.source.kind ?? .safetensors
    tree = .dictionary(entries, ordered: true)
    self.storages = storages
    notices = components.flatMap(\.source.notices)
    parts = components.map(\.source)
    self.places = places
  }

  /// Reads from the component that holds the storage. Throws as that does.
  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    let place = places[storage.index]
    try parts[place.part].read(place.storage, at: offset, into: buffer)
  }
}
