/// The datasets of a file being written, by group: a slash in a name leads into a group below.
struct HDF5GroupTree {
  private var datasets: [(name: String, header: Int)] = []
  private var groups: [String: HDF5GroupTree] = [:]
  private var names: Set<String> = []

  /// Where a path leads: its parts without empty ones and dots, as HDF5 reads it. Nil when nothing is left, or when a
  /// part has a NUL, which ends a name in HDF5.
  static func parts(_ path: String) -> [String]? {
    guard !path.utf8.contains(0) else { return nil }
    // Most names have no slash, and splitting costs more than all else that is done with them here.
    let parts = path.utf8.contains(UInt8(ascii: "/")) ? path.split(separator: "/").map(String.init) : [path]
    let named = parts.filter { !$0.isEmpty && $0 != "." }
    return named.isEmpty ? nil : named
  }

  /// Adds a dataset. False when the place is taken by another dataset or by a group.
  mutating func insert(_ parts: ArraySlice<String>, header: Int) -> Bool {
    guard let name = parts.first else { return false }
    if parts.count == 1 {
      guard groups[name] == nil, names.insert(name).inserted else { return false }
      datasets.append((name, header))
      return true
    }
    guard !names.contains(name) else { return false }
    return groups[name, default: HDF5GroupTree()].insert(parts.dropFirst(), header: header)
  }

  /// Writes the groups below this one with their headers, then the nodes of this one.
  func write(to writer: HDF5MetadataWriter) throws(ConversionError) -> HDF5MetadataWriter.GroupAddresses {
    var members = datasets
    for (name, group) in groups.sorted(by: { $0.key < $1.key }) {
      let message = Self.symbolTable(try group.write(to: writer))
      let header = try writer.append(
        HDF5Encoder.objectHeader(messageCount: 1, byteCount: message.count) + message)
      members.append((name, header))
    }
    return try writer.group(members)
  }

  /// The message that makes an object a group.
  static func symbolTable(_ addresses: HDF5MetadataWriter.GroupAddresses) -> [UInt8] {
    var body = HDF5Encoder()
    body.append(UInt64(addresses.tree))
    body.append(UInt64(addresses.heap))
    return HDF5Encoder.message(.symbolTable, body.bytes)
  }
}
