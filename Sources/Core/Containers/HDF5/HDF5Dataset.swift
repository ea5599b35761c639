/// A dataset of an HDF5 file: element type, shape, attributes and where its bytes lie. No element is read.
struct HDF5Dataset {
  /// Where the elements lie.
  enum Layout {
    /// In the object header itself.
    case compact([UInt8])
    /// In one run; nil when the dataset was never written.
    case contiguous(Int?)
    /// In chunks found through a B-tree; nil when none was written. `chunk` has the rank of the dataset.
    case chunked(index: Int?, chunk: [Int])
  }

  /// Element type.
  let type: HDF5Datatype
  /// Shape, or null for a dataset that carries attributes only.
  let space: HDF5Dataspace
  /// Attributes by name.
  let attributes: [String: HDF5Attribute]
  /// Where the elements lie; nil for a null dataspace.
  let layout: Layout?
  /// Filters in the order in which a writer applied them.
  let filters: [HDF5Filter]
  /// The bytes of one element that was never written, as stored; empty for zero.
  let fill: [UInt8]

  /// Reads the object header at an address.
  ///
  /// Throws `.hostileInput` for external storage, bytes outside the file and damage, `.unreadableInput` for layouts and
  /// filters that checkpoints do not use. `name` is used in messages. Complexity: O(header).
  init(at address: Int, name: String, reader: HDF5MetadataReader) throws(ConversionError) {
    let file = reader.file
    let header = try HDF5ObjectHeader(at: address, reader: reader)
    guard header.first(.externalFiles) == nil else {
      throw ConversionError(
        .hostileInput,
        "\(file.input.path): the data of \(name) is kept in another file; data outside the file is never read")
    }
    guard let typeMessage = header.first(.datatype), let spaceMessage = header.first(.dataspace) else {
      throw file.damaged("\(name) is no dataset")
    }
    type = try HDF5Datatype(typeMessage)
    space = try HDF5Dataspace(spaceMessage, file: file)
    var attributes: [String: HDF5Attribute] = [:]
    for attribute in try header.attributes(file: file) { attributes[attribute.name] = attribute }
    self.attributes = attributes
    filters =
      try header.first(.filters).map { (body) throws(ConversionError) in
        try HDF5Filter.pipeline(body, file: file)
      } ?? []
    fill = try Self.fillValue(header)
    if case .simple(let shape) = space, let size = type.size {
      guard let message = header.first(.layout) else { throw file.damaged("\(name) has no layout") }
      layout = try Self.layout(message, shape: shape, elementSize: size, name: name, file: file)
    } else {
      layout = nil
    }
  }

  private static func layout(
    _ message: HDF5Cursor, shape: [Int], elementSize: Int, name: String, file: HDF5File
  ) throws(ConversionError) -> Layout {
    var body = message
    let version = try body.u8()
    guard version == 3 else { throw file.unsupported("an HDF5 data layout of version \(version) (in \(name))") }
    // The product is below 2^44 elements of at most 2^32 bytes each, but strings may be long: check it.
    let (byteCount, overflow) = (TensorShape.elementCount(shape) ?? 0).multipliedReportingOverflow(by: elementSize)
    guard !overflow else { throw file.damaged("the size of \(name) overflows") }
    switch try body.u8() {
    case 0:
      let bytes = try body.bytes(try body.u16())
      guard bytes.count >= byteCount else { throw file.damaged("the data of \(name) ends early") }
      return .compact(Array(bytes.prefix(byteCount)))
    case 1:
      let address = try body.address()
      let size = try body.length()
      guard let address, byteCount > 0 else { return .contiguous(nil) }
      guard size >= byteCount, byteCount <= file.input.size, address <= file.input.size - byteCount else {
        throw file.damaged("the data of \(name) lies outside the file")
      }
      return .contiguous(address)
    case 2:
      let dimensions = try body.u8()
      let index = try body.address()
      guard dimensions == shape.count + 1, dimensions > 1 else {
        throw file.damaged("\(name) has \(shape.count) dimensions, its chunks \(dimensions - 1)")
      }
      var chunk: [Int] = []
      var bytes = elementSize
      for _ in shape {
        let length = try body.u32()
        guard length > 0 else { throw file.damaged("\(name) has an empty chunk shape") }
        chunk.append(length)
        let (product, overflow) = bytes.multipliedReportingOverflow(by: length)
        guard !overflow, product <= file.limits.hdf5ChunkBytes else {
          throw ConversionError(
            .hostileInput,
            "\(file.input.path): a chunk of \(name) has more than \(file.limits.hdf5ChunkBytes) bytes")
        }
        bytes = product
      }
      guard try body.u32() == elementSize else { throw file.damaged("\(name) states two element sizes") }
      return .chunked(index: index, chunk: chunk)
    default: throw file.unsupported("a virtual HDF5 dataset (\(name))")
    }
  }

  /// The fill value, from the message of HDF5 1.6 and later or the older one.
  private static func fillValue(_ header: HDF5ObjectHeader) throws(ConversionError) -> [UInt8] {
    if var body = header.first(.fillValue) {
      let version = try body.u8()
      if version >= 3 {
        guard try body.u8() & 0x20 != 0 else { return [] }
      } else {
        try body.skip(2)
        let isDefined = try body.u8()
        guard version == 1 || isDefined != 0 else { return [] }
      }
      return Array(try body.bytes(try body.u32()))
    }
    if var body = header.first(.oldFillValue) { return Array(try body.bytes(try body.u32())) }
    return []
  }
}
