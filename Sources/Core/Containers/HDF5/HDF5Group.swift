/// A group of an HDF5 file: the names of its members and the addresses of their object headers.
struct HDF5Group {
  let members: [String: Int]

  /// Reads an old-style group: a symbol table message, a version-1 B-tree, symbol nodes and a local heap.
  ///
  /// Every node is visited once. Throws `.hostileInput` for soft and external links, loops and damage,
  /// `.unreadableInput` for groups of the newer style. Complexity: O(members).
  init(header: HDF5ObjectHeader, reader: HDF5MetadataReader) throws(ConversionError) {
    guard var table = header.first(.symbolTable) else {
      throw try Self.refusal(header: header, file: reader.file)
    }
    guard let tree = try table.address(), let heap = try table.address() else {
      throw reader.file.damaged("a group without a B-tree or a heap")
    }
    let names = try Self.names(at: heap, reader: reader)
    var members: [String: Int] = [:]
    var seen: Set<Int> = []
    var pending: [(address: Int, level: Int?)] = [(tree, nil)]
    while let (address, expected) = pending.popLast() {
      guard seen.insert(address).inserted else { throw reader.file.damaged("a group refers to a node twice") }
      var node = try reader.block(at: address, count: 24, what: "B-tree node")
      try node.expect(signature: "TREE")
      guard try node.u8() == 0 else { throw reader.file.damaged("a group leads to a B-tree of another kind") }
      let level = try node.u8()
      guard expected == nil || level == expected else { throw reader.file.damaged("a B-tree node of a wrong level") }
      let count = try node.u16()
      var entries = try reader.block(at: address + 24, count: count * 16 + 8, what: "B-tree node")
      for _ in 0..<count {
        try entries.skip(8)
        guard let child = try entries.address() else { throw reader.file.damaged("a B-tree node lacks a child") }
        if level > 0 {
          pending.append((child, level - 1))
        } else {
          guard seen.insert(child).inserted else { throw reader.file.damaged("a group refers to a node twice") }
          try Self.readSymbols(at: child, names: names, into: &members, reader: reader)
        }
      }
    }
    self.members = members
  }

  /// The data segment of a local heap, where the names lie.
  private static func names(at address: Int, reader: HDF5MetadataReader) throws(ConversionError) -> HDF5Cursor {
    var header = try reader.block(at: address, count: 32, what: "local heap")
    try header.expect(signature: "HEAP")
    try header.skip(4)
    let size = try header.length()
    try header.skip(8)
    guard let data = try header.address() else { throw reader.file.damaged("a local heap without data") }
    return try reader.block(at: data, count: size, what: "local heap")
  }

  /// The entries of one symbol node.
  private static func readSymbols(
    at address: Int, names: HDF5Cursor, into members: inout [String: Int], reader: HDF5MetadataReader
  ) throws(ConversionError) {
    var node = try reader.block(at: address, count: 8, what: "symbol node")
    try node.expect(signature: "SNOD")
    try node.skip(2)
    let count = try node.u16()
    var entries = try reader.block(at: address + 8, count: count * 40, what: "symbol node")
    for _ in 0..<count {
      var nameCursor = try names.seeking(to: try entries.length())
      let name = try nameCursor.terminatedString()
      let target = try entries.address()
      // A cache type of 2 marks a soft link.
      guard try entries.u32() != 2, let target else {
        throw ConversionError(
          .hostileInput,
          "\(reader.file.input.path) holds the soft link \(name); checkpoints hold their data themselves, and links "
            + "are not followed")
      }
      try entries.skip(20)
      guard members.updateValue(target, forKey: name) == nil else {
        throw reader.file.damaged("a group has two members called \(name)")
      }
      try reader.file.limits.take(192)
      guard members.count <= reader.file.limits.tensors else {
        throw reader.file.damaged("a group with more than \(reader.file.limits.tensors) members")
      }
    }
  }

  /// The reason why an object without a symbol table is not read as a group.
  private static func refusal(header: HDF5ObjectHeader, file: HDF5File) throws(ConversionError) -> ConversionError {
    for message in header.messages where message.type == .link {
      var link = message.body
      try link.skip(1)
      let flags = try link.u8()
      let type = flags & 0x08 != 0 ? try link.u8() : 0
      guard type != 0 else { continue }
      return ConversionError(
        .hostileInput,
        "\(file.input.path) holds \(type == 64 ? "an external" : "a soft") link; data outside the file is never read")
    }
    return header.first(.linkInfo) == nil
      ? file.damaged("an object is not a group where one is needed")
      : file.unsupported("groups of the newer HDF5 style")
  }
}
