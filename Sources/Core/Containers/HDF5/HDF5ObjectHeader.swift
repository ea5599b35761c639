/// The messages of an HDF5 object header: everything a file says of one group or dataset.
struct HDF5ObjectHeader {
  /// Message types, by their numbers in the specification.
  enum MessageType: Int {
    case dataspace = 0x01
    case linkInfo = 0x02
    case datatype = 0x03
    case oldFillValue = 0x04
    case fillValue = 0x05
    case link = 0x06
    case externalFiles = 0x07
    case layout = 0x08
    case filters = 0x0B
    case attribute = 0x0C
    case continuation = 0x10
    case symbolTable = 0x11
    case attributeInfo = 0x15
  }

  /// One message of a known type.
  struct Message {
    let type: MessageType
    let body: HDF5Cursor
  }

  /// The messages in file order, without those of no interest.
  private(set) var messages: [Message] = []

  /// Reads a header of version 1 or 2 with its continuation blocks.
  ///
  /// Each block is read once, whatever refers to it. Complexity: O(bytes of the header).
  init(at address: Int, reader: HDF5MetadataReader) throws(ConversionError) {
    let file = reader.file
    var prefix = try reader.block(
      at: address, count: min(16, max(file.input.size - address, 0)), what: "object header")
    var seen: Set<Int> = [address]
    var pending: [(address: Int, count: Int)] = []
    let first = try prefix.u8()
    if first == 1 {
      try prefix.skip(7)
      let size = try prefix.u32()
      var block = try reader.block(at: address + 16, count: size, what: "object header")
      try readMessages(of: &block, version2Flags: nil, pending: &pending, file: file)
    } else {
      prefix = try prefix.seeking(to: 0)
      try prefix.expect(signature: "OHDR")
      guard try prefix.u8() == 2 else { throw file.unsupported("an object header of a version above 2") }
      let flags = try prefix.u8()
      let skipped = (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
      let width = 1 << (flags & 3)
      var sizes = try reader.block(at: address + 6 + skipped, count: width, what: "object header")
      let size =
        switch width {
        case 1: try sizes.u8()
        case 2: try sizes.u16()
        case 4: try sizes.u32()
        default: try sizes.length()
        }
      var block = try reader.block(at: address + 6 + skipped + width, count: size, what: "object header")
      try readMessages(of: &block, version2Flags: flags, pending: &pending, file: file)
      while let next = pending.popLast() {
        guard seen.insert(next.address).inserted else { throw file.damaged("an object header continues in a loop") }
        var block = try reader.block(at: next.address, count: next.count, what: "object header continuation")
        try block.expect(signature: "OCHK")
        var body = try block.sub(block.remaining - 4, what: "object header continuation")
        try readMessages(of: &body, version2Flags: flags, pending: &pending, file: file)
      }
    }
    var next = 0
    while next < pending.count {
      guard seen.insert(pending[next].address).inserted else {
        throw file.damaged("an object header continues in a loop")
      }
      var block = try reader.block(
        at: pending[next].address, count: pending[next].count, what: "object header continuation")
      next += 1
      try readMessages(of: &block, version2Flags: nil, pending: &pending, file: file)
    }
  }

  /// Reads the messages of one block. Continuations are put on `pending`.
  private mutating func readMessages(
    of block: inout HDF5Cursor, version2Flags: Int?, pending: inout [(address: Int, count: Int)], file: HDF5File
  ) throws(ConversionError) {
    // Version 2 has shorter message headers, with a creation order where bit 2 of the header's flags is set.
    let prefixSize = version2Flags.map { $0 & 0x04 != 0 ? 6 : 4 } ?? 8
    while block.remaining >= prefixSize {
      let number = version2Flags == nil ? try block.u16() : try block.u8()
      let size = try block.u16()
      let flags = try block.u8()
      try block.skip(version2Flags == nil ? 3 : prefixSize - 4)
      var body = try block.sub(size, what: "header message")
      guard let type = MessageType(rawValue: number) else { continue }
      // Bit 1 marks a message that is stored elsewhere, such as a committed datatype.
      guard flags & 0x02 == 0 else { throw file.unsupported("a shared HDF5 header message") }
      if type == .continuation {
        guard let address = try body.address() else { throw file.damaged("an object header continues nowhere") }
        pending.append((address, try body.length()))
      } else {
        messages.append(Message(type: type, body: body))
        if messages.count % 64 == 0 { try file.limits.take(64 * 384) }
      }
    }
  }

  /// The first message of a type.
  func first(_ type: MessageType) -> HDF5Cursor? { messages.first { $0.type == type }?.body }

  /// The attributes in file order. Throws when some are kept outside the header.
  func attributes(file: HDF5File) throws(ConversionError) -> [HDF5Attribute] {
    var attributes: [HDF5Attribute] = []
    for message in messages {
      if message.type == .attribute {
        attributes.append(try HDF5Attribute(message.body, file: file))
      } else if message.type == .attributeInfo {
        var body = message.body
        try body.skip(1)
        let flags = try body.u8()
        if flags & 1 != 0 { try body.skip(2) }
        if try body.address() != nil { throw file.unsupported("dense attribute storage") }
      }
    }
    return attributes
  }
}
