/// Appends HDF5 metadata to a file: object headers, heaps and group nodes, each as soon as it is known.
///
/// Everything refers to what was written before it, so only one buffer of 1 MiB, one heap collection and the names of
/// the datasets are in memory. Used by one thread.
final class HDF5MetadataWriter {
  private let file: StagedFile
  private var buffer: [UInt8] = []
  private var bufferOffset: Int
  private var heap: [UInt8] = []
  private var heapAddress = 0
  private var heapCapacity = 2048
  private var heapObjects: UInt16 = 0
  private var pacer = Interruption.Pacer()

  /// A writer whose first byte goes to an offset that is a multiple of 8.
  init(file: StagedFile, offset: Int) {
    self.file = file
    bufferOffset = offset
  }

  /// The address of the next byte.
  var position: Int { bufferOffset + buffer.count }

  /// Appends bytes, padded to 8, and returns their address.
  @discardableResult
  func append(_ bytes: [UInt8]) throws(ConversionError) -> Int {
    try pacer.step()
    let address = position
    buffer += bytes
    while buffer.count % 8 != 0 { buffer.append(0) }
    if buffer.count >= 1 << 20 { try flush() }
    return address
  }

  /// Writes what is buffered.
  private func flush() throws(ConversionError) {
    try file.write(buffer, at: bufferOffset)
    bufferOffset += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }

  /// Puts a string into a global heap. The result is how a variable-length value refers to it.
  ///
  /// Collections grow from 4 to 64 KiB, as a reader loads a whole one for any of its strings; a longer string gets a
  /// collection of its own.
  func string(_ text: String) throws(ConversionError) -> [UInt8] {
    let utf8 = Array(text.utf8)
    var object = HDF5Encoder()
    let needed = 16 + (utf8.count + 7) / 8 * 8
    if heap.isEmpty || heap.count + needed > heapCapacity || heapObjects == .max {
      try closeHeap()
      heapCapacity = max(min(heapCapacity * 2, 65_536), 16 + needed)
      heapAddress = position
      // The place is taken now, so that headers written meanwhile come after it.
      try flush()
      bufferOffset += heapCapacity
      var header = HDF5Encoder()
      header.append("GCOL".utf8)
      header.append([1, 0, 0, 0])
      header.append(UInt64(heapCapacity))
      heap = header.bytes
      heapObjects = 0
    }
    heapObjects += 1
    object.append(heapObjects)
    object.append(UInt16(0))
    object.append(UInt32(0))
    object.append(UInt64(utf8.count))
    object.append(utf8)
    object.pad()
    heap += object.bytes
    var reference = HDF5Encoder()
    reference.append(UInt32(truncatingIfNeeded: utf8.count))
    reference.append(UInt64(heapAddress))
    reference.append(UInt32(heapObjects))
    return reference.bytes
  }

  /// Writes the open heap collection; the rest of it becomes object 0, its free space.
  private func closeHeap() throws(ConversionError) {
    guard !heap.isEmpty else { return }
    let free = heapCapacity - heap.count
    if free >= 16 {
      var header = HDF5Encoder()
      header.append(UInt64(0))
      header.append(UInt64(free))
      heap += header.bytes
    }
    heap += [UInt8](repeating: 0, count: heapCapacity - heap.count)
    try file.write(heap, at: heapAddress)
    heap.removeAll()
  }

  /// Writes all that is pending. Nothing may be appended afterwards.
  func close() throws(ConversionError) {
    try closeHeap()
    try flush()
    try file.resize(to: position)
  }

  // MARK: Groups

  /// Where the parts of a group lie: what its symbol table message and its entry in a parent say.
  struct GroupAddresses {
    let tree: Int
    let heap: Int
  }

  /// Names in a symbol node: twice the leaf K of the superblock.
  private static let symbolsPerNode = 8
  /// Children of a B-tree node: twice the internal K of the superblock.
  private static let childrenPerNode = 32

  /// Writes the names and nodes of a group, filled from the left, and returns where they lie.
  ///
  /// Complexity: O(n log n).
  func group(_ members: [(name: String, header: Int)]) throws(ConversionError) -> GroupAddresses {
    let sorted = members.map { (name: Array($0.name.utf8), header: $0.header) }
      .sorted { $0.name.lexicographicallyPrecedes($1.name) }
    // Offset 0 of the names is the empty name, the key left of everything.
    var names = HDF5Encoder()
    names.append(UInt64(0))
    var nameOffsets: [Int] = []
    nameOffsets.reserveCapacity(sorted.count)
    for member in sorted {
      try pacer.step()
      nameOffsets.append(names.bytes.count)
      names.append(member.name)
      names.append(0 as UInt8)
      names.pad()
    }
    var heapHeader = HDF5Encoder()
    heapHeader.append("HEAP".utf8)
    heapHeader.append(UInt32(0))
    heapHeader.append(UInt64(names.bytes.count))
    // No free block: libhdf5 writes 1 for that.
    heapHeader.append(UInt64(1))
    heapHeader.append(UInt64(position + 32))
    let heapStart = try append(heapHeader.bytes)
    try append(names.bytes)

    var children: [(address: Int, lastName: Int)] = []
    for start in stride(from: 0, to: sorted.count, by: Self.symbolsPerNode) {
      let end = min(start + Self.symbolsPerNode, sorted.count)
      children.append(
        (try symbolNode(sorted[start..<end].map(\.header), nameOffsets[start..<end]), nameOffsets[end - 1]))
    }
    var level: UInt8 = 0
    repeat {
      children = try treeLevel(level, children)
      level += 1
    } while children.count > 1
    return GroupAddresses(tree: children[0].address, heap: heapStart)
  }

  private func symbolNode(_ headers: [Int], _ names: ArraySlice<Int>) throws(ConversionError) -> Int {
    var node = HDF5Encoder()
    node.append("SNOD".utf8)
    node.append([1, 0])
    node.append(UInt16(headers.count))
    for (header, name) in zip(headers, names) {
      node.append(UInt64(name))
      node.append(UInt64(header))
      // Nothing is cached in the entry.
      node.append([UInt8](repeating: 0, count: 24))
    }
    node.append([UInt8](repeating: 0, count: (Self.symbolsPerNode - headers.count) * 40))
    return try append(node.bytes)
  }

  /// Writes the B-tree nodes of one level over the nodes below; the result is the level itself.
  private func treeLevel(
    _ level: UInt8, _ children: [(address: Int, lastName: Int)]
  ) throws(ConversionError) -> [(address: Int, lastName: Int)] {
    let nodeSize = 24 + Self.childrenPerNode * 16 + 8
    let count = max((children.count + Self.childrenPerNode - 1) / Self.childrenPerNode, 1)
    let first = position
    var nodes: [(address: Int, lastName: Int)] = []
    var leftName = 0
    for index in 0..<count {
      let start = index * Self.childrenPerNode
      let part = children[start..<min(start + Self.childrenPerNode, children.count)]
      var node = HDF5Encoder()
      node.append("TREE".utf8)
      node.append([0, level])
      node.append(UInt16(part.count))
      node.append(index > 0 ? UInt64(first + (index - 1) * nodeSize) : HDF5Encoder.undefined)
      node.append(index + 1 < count ? UInt64(first + (index + 1) * nodeSize) : HDF5Encoder.undefined)
      node.append(UInt64(leftName))
      for child in part {
        node.append(UInt64(child.address))
        node.append(UInt64(child.lastName))
        leftName = child.lastName
      }
      node.append([UInt8](repeating: 0, count: nodeSize - node.bytes.count))
      nodes.append((try append(node.bytes), leftName))
    }
    return nodes
  }
}
