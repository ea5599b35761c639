import Core

/// Writes what `torch.save` writes, whatever the numbers are: the project's own writer refuses such shapes.
struct TorchFile {
  private let checkpoint: DamagedCheckpoint

  init(_ checkpoint: DamagedCheckpoint) { self.checkpoint = checkpoint }

  // MARK: Files

  /// The archive, with its checksums switched off.
  func zip() -> [UInt8] {
    var entries: [(name: String, content: [UInt8])] = [("archive/data.pkl", pickle)]
    for (index, tensor) in checkpoint.tensors.enumerated() where !tensor.isNumpy {
      entries.append(("archive/data/\(index)", tensor.bytes))
    }
    entries.append(("archive/version", Array("3\n".utf8)))
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for (name, content) in entries {
      let fields: [UInt8] =
        Self.number(0, 12) + Self.number(content.count, 4) + Self.number(content.count, 4)
        + Self.number(name.utf8.count, 2) + Self.number(0, 2)
      directory += Self.number(0x0201_4B50, 4) + Self.number(0, 4) + fields + Self.number(0, 10)
      directory += Self.number(file.count, 4) + name.utf8
      file += Self.number(0x0403_4B50, 4) + Self.number(0, 2) + fields + name.utf8 + content
    }
    let end =
      Self.number(0x0605_4B50, 4) + Self.number(0, 4) + Self.number(entries.count, 2) + Self.number(entries.count, 2)
      + Self.number(directory.count, 4) + Self.number(file.count, 4) + Self.number(0, 2)
    return file + directory + end
  }

  /// The stream of old releases.
  func legacy() -> [UInt8] {
    let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    var file = magic + Self.text(".") + [0x80, 2] + Self.text("M") + [0xE9, 3] + Self.text(".")
    file += [0x80, 2] + Self.text("}") + Self.string("little_endian") + [0x88] + Self.text("s.") + pickle
    let stored = checkpoint.tensors.enumerated().filter { !$0.element.isNumpy }
    file += [0x80, 2] + Self.text("](") + stored.flatMap { Self.string("\($0.offset)") } + Self.text("e.")
    for (_, tensor) in stored { file += Self.number(tensor.bytes.count / tensor.dtype.size, 8) + tensor.bytes }
    return file
  }

  // MARK: Pickle

  private var pickle: [UInt8] {
    var state = Self.text("}(")
    for (index, tensor) in checkpoint.tensors.enumerated() {
      state += Self.string(tensor.key) + (tensor.isNumpy ? Self.array(tensor) : Self.tensor(tensor, key: index))
    }
    state += Self.text("u")
    if checkpoint.isWrapped { state = Self.text("}") + Self.string("model") + state + Self.text("s") }
    return [0x80, 2] + state + Self.text(".")
  }

  private static func tensor(_ tensor: DamagedCheckpoint.Tensor, key: Int) -> [UInt8] {
    text("ctorch._utils\n_rebuild_tensor_v2\n((") + string("storage")
      + text("ctorch\n\(storages[tensor.dtype] ?? "FloatStorage")\n")
      + string("\(key)") + string("cpu") + integer(tensor.bytes.count / tensor.dtype.size) + text("tQ")
      + integer(tensor.offset) + tuple(tensor.shape) + tuple(tensor.strides) + [0x89]
      + text("ccollections\nOrderedDict\n)RtR")
  }

  private static func array(_ tensor: DamagedCheckpoint.Tensor) -> [UInt8] {
    text("cnumpy.core.numeric\n_frombuffer\n(B") + number(tensor.bytes.count, 4) + tensor.bytes
      + text("cnumpy\ndtype\n(") + string(types[tensor.dtype] ?? "f4") + text("tR") + tuple(tensor.shape)
      + string(tensor.offset == 0 ? "C" : "F") + text("tR")
  }

  private static let storages: [DType: String] = [
    .float64: "DoubleStorage", .float32: "FloatStorage", .float16: "HalfStorage", .bfloat16: "BFloat16Storage",
    .int64: "LongStorage", .int32: "IntStorage", .int16: "ShortStorage", .int8: "CharStorage", .uint8: "ByteStorage",
    .bool: "BoolStorage",
  ]

  private static let types: [DType: String] = [
    .float64: "f8", .float32: "f4", .float16: "f2", .int64: "i8", .int32: "i4", .int16: "i2", .int8: "i1", .uint8: "u1",
    .bool: "b1",
  ]

  private static func tuple(_ values: [Int]) -> [UInt8] { text("(") + values.flatMap(integer) + text("t") }

  private static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + number(value, 8) }

  private static func string(_ value: String) -> [UInt8] { text("X") + number(value.utf8.count, 4) + text(value) }

  private static func text(_ value: String) -> [UInt8] { Array(value.utf8) }

  private static func number(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * $0)) : 0 }
  }
}
