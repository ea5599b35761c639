import CLZ4
import CZlib

/// A step of the pipeline that chunks went through when they were written.
enum HDF5Filter: Sendable, Hashable {
  /// Deflate (filter 1), as old savers could be told to use.
  case deflate
  /// Byte shuffle (filter 2) of elements of a size.
  case shuffle(elementSize: Int)
  /// The LZ4 plugin (filter 32004), what Cerebras releases use.
  case lz4
  /// h5py's LZF (filter 32000).
  case lzf

  /// Reads a filter pipeline message of version 1 or 2. Throws `.unreadableInput` for a filter that is not known.
  static func pipeline(_ body: HDF5Cursor, file: HDF5File) throws(ConversionError) -> [HDF5Filter] {
    var cursor = body
    let version = try cursor.u8()
    guard version == 1 || version == 2 else { throw file.unsupported("a filter pipeline of version \(version)") }
    let count = try cursor.u8()
    // The specification allows 32; a mask of 32 bits says which were skipped.
    guard count <= 32 else { throw file.damaged("a chunk went through \(count) filters") }
    if version == 1 { try cursor.skip(6) }
    var filters: [HDF5Filter] = []
    for _ in 0..<count {
      let id = try cursor.u16()
      let nameLength = version == 1 || id >= 256 ? try cursor.u16() : 0
      try cursor.skip(2)
      let valueCount = try cursor.u16()
      try cursor.skip(version == 1 ? nameLength + (8 - nameLength % 8) % 8 : nameLength)
      var values: [Int] = []
      for _ in 0..<valueCount { values.append(try cursor.u32()) }
      if version == 1, valueCount % 2 == 1 { try cursor.skip(4) }
      switch id {
      case 1: filters.append(.deflate)
      case 2: filters.append(.shuffle(elementSize: max(values.first ?? 1, 1)))
      case 32004: filters.append(.lz4)
      case 32000: filters.append(.lzf)
      case 3: throw file.unsupported("the Fletcher-32 filter")
      case 4: throw file.unsupported("the SZIP filter")
      default: throw file.unsupported("the HDF5 filter \(id)")
      }
    }
    return filters
  }

  /// The decoded form of `input`, exactly `byteCount` bytes; nil when it does not decode to that.
  func decode(_ input: [UInt8], byteCount: Int) -> [UInt8]? {
    switch self {
    case .deflate: Self.inflate(input, byteCount: byteCount)
    case .shuffle(let elementSize): Self.unshuffle(input, elementSize: elementSize, byteCount: byteCount)
    case .lz4: Self.decodeLZ4(input, byteCount: byteCount)
    case .lzf: Self.decodeLZF(input, byteCount: byteCount)
    }
  }

  private static func inflate(_ input: [UInt8], byteCount: Int) -> [UInt8]? {
    var output = [UInt8](repeating: 0, count: byteCount)
    var length = uLongf(byteCount)
    let status = uncompress(&output, &length, input, uLong(input.count))
    return status == Z_OK && length == uLongf(byteCount) ? output : nil
  }

  /// Undoes the byte shuffle: all first bytes come first, then all second bytes; a rest shorter than an element stays.
  private static func unshuffle(_ input: [UInt8], elementSize: Int, byteCount: Int) -> [UInt8]? {
    guard input.count == byteCount else { return nil }
    let count = byteCount / elementSize
    guard elementSize > 1, count > 1 else { return input }
    var output = input
    for byte in 0..<elementSize {
      for element in 0..<count { output[element * elementSize + byte] = input[byte * count + element] }
    }
    return output
  }

  /// The frame of the LZ4 plugin, big-endian: decoded size, block size, then blocks with their stored sizes. A block
  /// whose stored size equals its decoded size is stored raw.
  private static func decodeLZ4(_ input: [UInt8], byteCount: Int) -> [UInt8]? {
    func integer(at position: Int, _ count: Int) -> UInt64? {
      guard position <= input.count - count else { return nil }
      return input[position..<position + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
    guard integer(at: 0, 8) == UInt64(byteCount), let stated = integer(at: 8, 4), stated > 0 else { return nil }
    let blockSize = Int(stated)
    var position = 12
    var isSound = true
    let output = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, written in
      while written < byteCount {
        let expected = min(blockSize, byteCount - written)
        guard let stored = integer(at: position, 4).map({ Int($0) }), stored <= input.count - position - 4 else {
          isSound = false
          return
        }
        position += 4
        let decoded = input.withUnsafeBufferPointer { source in
          let block = UnsafeRawBufferPointer(source)[position..<position + stored]
          let target = UnsafeMutableRawBufferPointer(buffer)[written..<written + expected]
          if stored == expected {
            UnsafeMutableRawBufferPointer(rebasing: target).copyMemory(from: UnsafeRawBufferPointer(rebasing: block))
            return expected
          }
          guard let from = UnsafeRawBufferPointer(rebasing: block).baseAddress,
            let into = UnsafeMutableRawBufferPointer(rebasing: target).baseAddress
          else { return -1 }
          // Both counts are below `Limits.hdf5ChunkBytes` or were compared with the input, which is as bounded.
          return Int(
            LZ4_decompress_safe(
              from.assumingMemoryBound(to: CChar.self), into.assumingMemoryBound(to: CChar.self),
              Int32(clamping: stored), Int32(clamping: expected)))
        }
        guard decoded == expected else {
          isSound = false
          return
        }
        position += stored
        written += expected
      }
    }
    return isSound ? output : nil
  }

  /// LibLZF: a control byte below 32 starts a literal run, others a copy from up to 8 KiB back.
  private static func decodeLZF(_ input: [UInt8], byteCount: Int) -> [UInt8]? {
    var output: [UInt8] = []
    output.reserveCapacity(byteCount)
    var position = 0
    while position < input.count {
      let control = Int(input[position])
      position += 1
      if control < 32 {
        guard control + 1 <= input.count - position, control + 1 <= byteCount - output.count else { return nil }
        output.append(contentsOf: input[position...position + control])
        position += control + 1
        continue
      }
      var length = control >> 5
      if length == 7 {
        guard position < input.count else { return nil }
        length += Int(input[position])
        position += 1
      }
      guard position < input.count else { return nil }
      var source = output.count - (control & 0x1F) << 8 - Int(input[position]) - 1
      position += 1
      guard source >= 0, length + 2 <= byteCount - output.count else { return nil }
      for _ in 0..<length + 2 {
        output.append(output[source])
        source += 1
      }
    }
    return output.count == byteCount ? output : nil
  }
}
