/// A legacy torch stream put together by hand: a 2 x 3 tensor of float32, a transposed view of it, and a view of a
/// part.
enum LegacyStream {
  private static let head: [UInt8] =
    [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19] + text(".")
    + [0x80, 2] + text("M") + [0xE9, 3] + text(".")
    + [0x80, 2] + text("}") + string("little_endian") + [0x88] + text("s.")

  /// The positions of the fourth pickle, the one with the object.
  static let object = head.count..<head.count + pickle.count

  /// The whole stream.
  static func bytes(littleEndian: Bool = true, stored: UInt8 = 6) -> [UInt8] {
    var bytes = head + pickle + [0x80, 2] + text("]") + string("k") + text("a.")
    if !littleEndian, let flag = head.lastIndex(of: 0x88) { bytes[flag] = 0x89 }
    bytes += [stored, 0, 0, 0, 0, 0, 0, 0]
    for value in 1...6 { bytes += [UInt8(value), 0, 0, 0] }
    return bytes
  }

  private static let pickle: [UInt8] =
    [0x80, 2] + text("}(") + string("w") + tensor(view: text("N"), shape: [2, 3], strides: [3, 1])
    + string("t") + tensor(view: text("N"), shape: [3, 2], strides: [1, 3])
    + string("part") + tensor(view: string("v") + text("K") + [4] + text("K") + [2] + [0x87], shape: [2], strides: [1])
    + text("u.")

  private static func tensor(view: [UInt8], shape: [UInt8], strides: [UInt8]) -> [UInt8] {
    text("ctorch._utils\n_rebuild_tensor_v2\n((") + string("storage") + text("ctorch\nIntStorage\n") + string("k")
      + string("cpu") + text("K") + [6] + view + text("tQK") + [0] + tuple(shape) + tuple(strides) + [0x89]
      + text("ccollections\nOrderedDict\n)RtR")
  }

  private static func tuple(_ values: [UInt8]) -> [UInt8] {
    text("(") + values.flatMap { text("K") + [$0] } + text("t")
  }

  private static func string(_ value: String) -> [UInt8] {
    text("X") + [UInt8(value.utf8.count), 0, 0, 0] + text(value)
  }

  private static func text(_ value: String) -> [UInt8] { Array(value.utf8) }
}
