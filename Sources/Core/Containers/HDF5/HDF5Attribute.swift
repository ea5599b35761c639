/// An attribute of an HDF5 object: its name, and its value on demand.
struct HDF5Attribute {
  let name: String
  private let typeMessage: HDF5Cursor
  private let spaceMessage: HDF5Cursor
  private let data: HDF5Cursor

  /// Reads an attribute message of version 1, 2 or 3. The value is not decoded.
  init(_ body: HDF5Cursor, file: HDF5File) throws(ConversionError) {
    var cursor = body
    let version = try cursor.u8()
    guard (1...3).contains(version) else { throw file.unsupported("an HDF5 attribute of version \(version)") }
    let flags = try cursor.u8()
    guard version == 1 || flags == 0 else { throw file.unsupported("an attribute of a committed HDF5 datatype") }
    let sizes = (name: try cursor.u16(), type: try cursor.u16(), space: try cursor.u16())
    if version == 3 { try cursor.skip(1) }
    // Version 1 pads each part to 8 bytes.
    func padding(_ size: Int) -> Int { version == 1 ? (8 - size % 8) % 8 : 0 }
    var nameField = try cursor.sub(sizes.name, what: "attribute name")
    name = try nameField.terminatedString()
    try cursor.skip(padding(sizes.name))
    typeMessage = try cursor.sub(sizes.type, what: "attribute datatype")
    try cursor.skip(padding(sizes.type))
    spaceMessage = try cursor.sub(sizes.space, what: "attribute dataspace")
    try cursor.skip(padding(sizes.space))
    data = cursor
  }

  /// Decodes the value. Heap data is read through `reader`.
  ///
  /// A value of a type that no checkpoint uses is `.unsupported`; only who needs it fails.
  func value(_ reader: HDF5MetadataReader) throws(ConversionError) -> HDF5Value {
    let type = try HDF5Datatype(typeMessage)
    let space = try HDF5Dataspace(spaceMessage, file: reader.file)
    let count = space.elementCount
    guard let size = type.size else { return .unsupported(type.description) }
    var cursor = data
    guard count <= cursor.remaining / max(size, 1) else {
      throw reader.file.damaged("the value of the attribute \(name) ends early")
    }
    switch type {
    case .number(let dtype, let bigEndian):
      var numbers: [HDF5Number] = []
      numbers.reserveCapacity(count)
      for _ in 0..<count { numbers.append(HDF5Number(try cursor.bytes(size), dtype: dtype, bigEndian: bigEndian)) }
      return .numbers(numbers)
    case .opaque: return .bytes(Array(try cursor.bytes(size * count)))
    case .fixedString:
      var strings: [String] = []
      for _ in 0..<count {
        var field = try cursor.sub(size, what: "attribute value")
        strings.append(try field.terminatedString())
      }
      return .strings(strings)
    case .variableString:
      var strings: [String] = []
      for _ in 0..<count { strings.append(try heapString(&cursor, reader)) }
      return .strings(strings)
    case .other(let name): return .unsupported(name)
    }
  }

  /// A variable-length string: its length, the address of a heap collection, and an index there.
  private func heapString(
    _ cursor: inout HDF5Cursor, _ reader: HDF5MetadataReader
  ) throws(ConversionError) -> String {
    let length = try cursor.u32()
    let address = try cursor.u64()
    let index = try cursor.u32()
    if length == 0 { return "" }
    guard let collection = Int(exactly: address) else {
      throw reader.file.damaged("the value of the attribute \(name) has a bad address")
    }
    let object = try reader.heapObject(at: collection, index: index)
    guard length <= object.count else {
      throw reader.file.damaged("the value of the attribute \(name) is longer than its heap object")
    }
    // Some writers count a terminating NUL.
    var text = object.prefix(length)
    while text.last == 0 { text.removeLast() }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw reader.file.damaged("the value of the attribute \(name) is not valid UTF-8")
    }
    return string
  }
}
