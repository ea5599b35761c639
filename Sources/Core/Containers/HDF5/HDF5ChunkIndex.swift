/// Finds the chunks of a dataset in its version-1 B-tree, on demand.
///
/// Nodes are read when a chunk is looked up and kept in a small cache, so a dataset of a million chunks costs no more
/// memory than one of ten. Safe to use from several threads.
struct HDF5ChunkIndex: Sendable {
  /// A chunk in the file.
  struct Chunk: Sendable {
    /// Address of the stored bytes.
    let address: Int
    /// Number of stored bytes.
    let byteCount: Int
    /// Bit i is set when filter i was skipped.
    let filterMask: Int
  }

  /// One node of the B-tree: for each child the coordinates of its first element.
  struct Node: Sendable {
    let level: Int
    let offsets: [[Int]]
    let chunks: [Chunk]
  }

  private let file: HDF5File
  private let root: Int
  private let rank: Int
  private let name: String
  private let nodes: HDF5Cache<Int, Node>

  /// An index whose root node lies at an address; `name` is the dataset, for messages.
  init(file: HDF5File, root: Int, rank: Int, name: String, nodes: HDF5Cache<Int, Node>) {
    self.file = file
    self.root = root
    self.rank = rank
    self.name = name
    self.nodes = nodes
  }

  /// The chunk whose first element has the given coordinates, or nil when it was never written.
  ///
  /// Complexity: O(depth) nodes, at most 256, each one level below the one before.
  func chunk(at coordinates: [Int]) throws(ConversionError) -> Chunk? {
    var address = root
    var expected: Int?
    while true {
      let node = try self.node(at: address)
      guard expected == nil || node.level == expected else {
        throw file.damaged("the chunk index of \(name) has a node of a wrong level")
      }
      // The last child that begins at or before the coordinates.
      var low = 0
      var high = node.offsets.count
      while low < high {
        let middle = (low + high) / 2
        if coordinates.lexicographicallyPrecedes(node.offsets[middle]) { high = middle } else { low = middle + 1 }
      }
      guard low > 0 else { return nil }
      if node.level == 0 { return node.offsets[low - 1] == coordinates ? node.chunks[low - 1] : nil }
      address = node.chunks[low - 1].address
      expected = node.level - 1
    }
  }

  private func node(at address: Int) throws(ConversionError) -> Node {
    if let node = nodes[address] { return node }
    var header = try file.block(at: address, count: 24, what: "chunk index node")
    try header.expect(signature: "TREE")
    guard try header.u8() == 1 else { throw file.damaged("the chunk index of \(name) is a B-tree of another kind") }
    let level = try header.u8()
    let count = try header.u16()
    // Per child a key (stored size, filter mask, coordinates, element offset) and an address; one more key at the end.
    let keySize = 8 + 8 * (rank + 1)
    var body = try file.block(at: address + 24, count: count * (keySize + 8), what: "chunk index node")
    var offsets: [[Int]] = []
    var chunks: [Chunk] = []
    for _ in 0..<count {
      let byteCount = try body.u32()
      let mask = try body.u32()
      var coordinates: [Int] = []
      for _ in 0..<rank { coordinates.append(try body.length()) }
      try body.skip(8)
      guard let child = try body.address() else {
        throw file.damaged("the chunk index of \(name) leads to no address")
      }
      offsets.append(coordinates)
      chunks.append(Chunk(address: child, byteCount: byteCount, filterMask: mask))
    }
    let node = Node(level: level, offsets: offsets, chunks: chunks)
    nodes.insert(node, for: address, cost: count * (keySize + 64))
    return node
  }
}
