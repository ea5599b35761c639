/// Writes an object tree as the `data.pkl` of `torch.save`: protocol 2, tensors by persistent id.
///
/// `torch.load(weights_only=True)` reads the result. Only repeated names enter the memo; equal values are written out
/// each time, which keeps the memory of both sides small.
struct PickleWriter {
  /// The pickle written so far.
  private(set) var bytes: [UInt8] = []
  private let storages: [Int]
  /// Storages whose tensors have more than one type; these are written untyped.
  private let untyped: Set<Int>
  private var memo: [String: Int] = [:]
  private var pacer = Interruption.Pacer()

  /// The pickle of a layout's tree.
  ///
  /// Throws `.internal` when a tensor does not fit the storage that the layout gives it. Complexity: O(nodes).
  static func data(_ layout: SinkLayout) throws(ConversionError) -> [UInt8] {
    var writer = PickleWriter(layout)
    writer.bytes += [0x80, 2]
    try writer.write(layout.tree)
    writer.op(".")
    return writer.bytes
  }

  private init(_ layout: SinkLayout) {
    storages = layout.storages
    var types: [Int: DType] = [:]
    var untyped: Set<Int> = []
    layout.tree.forEachTensor { tensor in
      if let other = types.updateValue(tensor.dtype, forKey: tensor.storage), other != tensor.dtype {
        untyped.insert(tensor.storage)
      }
    }
    self.untyped = untyped
  }

  private mutating func write(_ tree: ObjectTree<OutputTensor>) throws(ConversionError) {
    try pacer.step()
    switch tree {
    case .tensor(let tensor): try write(tensor)
    case .none: op("N")
    case .bool(let flag): bytes.append(flag ? 0x88 : 0x89)
    case .int(let number): write(number)
    case .longInt(let digits):
      guard let integer = DecimalInteger.littleEndian(digits) else {
        throw ConversionError(.internal, "'\(digits.prefix(40))' is no integer")
      }
      writeLong(integer)
    case .double(let number): write(number)
    case .string(let text): write(text)
    case .bytes(let content): write(content)
    case .list(let values):
      op("]")
      try writeItems(values, "a", "e")
    case .tuple(let values): try writeTuple(values)
    case .set(let values):
      global("__builtin__", "set")
      op("]")
      try writeItems(values, "a", "e")
      bytes.append(0x85)
      op("R")
    case .dictionary(let entries, let ordered):
      if ordered {
        global("collections", "OrderedDict")
        op(")")
        op("R")
      } else {
        op("}")
      }
      try write(entries)
    case .opaque(let value): write(value)
    }
  }

  // MARK: Containers

  /// Items in batches of 1000, as Python writes them, so that no reader needs a deep stack.
  private mutating func writeItems(
    _ values: [ObjectTree<OutputTensor>], _ single: Unicode.Scalar, _ several: Unicode.Scalar
  ) throws(ConversionError) {
    for start in stride(from: 0, to: values.count, by: 1_000) {
      let batch = values[start..<min(start + 1_000, values.count)]
      if batch.count > 1 { op("(") }
      for value in batch { try write(value) }
      op(batch.count > 1 ? several : single)
    }
  }

  private mutating func write(_ entries: [ObjectTree<OutputTensor>.Entry]) throws(ConversionError) {
    for start in stride(from: 0, to: entries.count, by: 1_000) {
      let batch = entries[start..<min(start + 1_000, entries.count)]
      if batch.count > 1 { op("(") }
      for entry in batch {
        try write(entry.key.tree())
        try write(entry.value)
      }
      op(batch.count > 1 ? "u" : "s")
    }
  }

  private mutating func writeTuple(_ values: [ObjectTree<OutputTensor>]) throws(ConversionError) {
    if values.count > 3 { op("(") }
    for value in values { try write(value) }
    endTuple(values.count)
  }

  private mutating func writeIntegers(_ values: [Int]) {
    if values.count > 3 { op("(") }
    for value in values { write(value) }
    endTuple(values.count)
  }

  private mutating func endTuple(_ count: Int) {
    switch count {
    case 0: op(")")
    case 1...3: bytes.append(0x84 + UInt8(count))
    default: op("t")
    }
  }

  // MARK: Tensors

  /// `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`; version 3 names the type as well, for
  /// types without a storage class. Source: `Tensor.__reduce_ex__` in `torch/_tensor.py`.
  private mutating func write(_ tensor: OutputTensor) throws(ConversionError) {
    guard storages.indices.contains(tensor.storage), let count = TensorShape.elementCount(tensor.shape),
      count <= storages[tensor.storage] / tensor.dtype.size
    else {
      throw ConversionError(.internal, "a tensor of shape \(tensor.shape) does not fit storage \(tensor.storage)")
    }
    let storageClass = untyped.contains(tensor.storage) ? nil : Self.storageClasses[tensor.dtype]
    global("torch._utils", storageClass == nil ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2")
    op("(")
    op("(")
    memoized("storage")
    if let storageClass {
      global("torch", storageClass)
    } else {
      global("torch.storage", "UntypedStorage")
    }
    write(String(tensor.storage))
    memoized("cpu")
    write(storages[tensor.storage] / (storageClass == nil ? 1 : tensor.dtype.size))
    op("t")
    op("Q")
    write(0)
    writeIntegers(tensor.shape)
    writeIntegers(TensorShape.contiguousStrides(tensor.shape))
    bytes.append(0x89)
    global("collections", "OrderedDict")
    op(")")
    op("R")
    if storageClass == nil { global("torch", tensor.dtype.rawValue) }
    op("t")
    op("R")
  }

  private static let storageClasses: [DType: String] = Dictionary(
    uniqueKeysWithValues: PickleGlobal.storageTypes.map { ($1, $0) })

  // MARK: Plain values

  private mutating func write(_ number: Int) {
    switch number {
    case 0...0xFF:
      op("K")
      bytes.append(UInt8(number))
    case 0x100...0xFFFF:
      op("M")
      littleEndian(UInt64(number), 2)
    case Int(Int32.min)...Int(Int32.max):
      op("J")
      littleEndian(UInt64(bitPattern: Int64(number)), 4)
    default: writeLong(DecimalInteger.littleEndian(String(number)) ?? [])
    }
  }

  private mutating func writeLong(_ integer: [UInt8]) {
    if integer.count <= 0xFF {
      bytes += [0x8A, UInt8(integer.count)]
    } else {
      bytes.append(0x8B)
      littleEndian(UInt64(integer.count), 4)
    }
    bytes += integer
  }

  private mutating func write(_ number: Double) {
    op("G")
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: number.bitPattern >> shift))
    }
  }

  private mutating func write(_ text: String) {
    op("X")
    littleEndian(UInt64(text.utf8.count), 4)
    bytes += text.utf8
  }

  /// Bytes as protocol 2 has them: `_codecs.encode(text, 'latin1')`, or `bytes()` when there are none.
  private mutating func write(_ content: [UInt8]) {
    guard !content.isEmpty else {
      global("__builtin__", "bytes")
      op(")")
      return op("R")
    }
    global("_codecs", "encode")
    var text = String.UnicodeScalarView()
    text.append(contentsOf: content.lazy.map { Unicode.Scalar($0) })
    write(String(text))
    memoized("latin1")
    bytes.append(0x86)
    op("R")
  }

  private mutating func write(_ value: ObjectTree<OutputTensor>.Opaque) {
    switch value {
    case .dtype(let name): global("torch", String(name.dropFirst(name.hasPrefix("torch.") ? 6 : 0)))
    case .device(let type, let index):
      global("torch", "device")
      write(type)
      if let index { write(index) }
      endTuple(index == nil ? 1 : 2)
      op("R")
    case .complex(let real, let imaginary):
      global("__builtin__", "complex")
      write(real)
      write(imaginary)
      endTuple(2)
      op("R")
    }
  }

  // MARK: Opcodes

  private mutating func op(_ code: Unicode.Scalar) { bytes.append(UInt8(truncatingIfNeeded: code.value)) }

  private mutating func littleEndian(_ value: UInt64, _ count: Int) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }

  private mutating func global(_ module: String, _ name: String) {
    once("\(module) \(name)") { writer in
      writer.op("c")
      writer.bytes += Array("\(module)\n\(name)\n".utf8)
    }
  }

  private mutating func memoized(_ text: String) { once("'\(text)'") { $0.write(text) } }

  /// Writes a value and puts it in the memo; later only refers to it. There are few such values, so one byte is enough.
  private mutating func once(_ key: String, _ write: (inout PickleWriter) -> Void) {
    if let index = memo[key] {
      op("h")
      bytes.append(UInt8(index))
    } else {
      write(&self)
      guard memo.count <= 0xFF else { return }
      op("q")
      bytes.append(UInt8(memo.count))
      memo[key] = memo.count
    }
  }
}

extension ObjectTree {
  /// Visits every tensor in tree order. Complexity: O(nodes).
  func forEachTensor(_ visit: (Tensor) -> Void) {
    switch self {
    case .tensor(let tensor): visit(tensor)
    case .dictionary(let entries, _): for entry in entries { entry.value.forEachTensor(visit) }
    case .list(let values), .tuple(let values), .set(let values): for value in values { value.forEachTensor(visit) }
    default: break
    }
  }
}

extension ObjectTree.Key {
  /// The key as a value of its own.
  fileprivate func tree() -> ObjectTree {
    switch self {
    case .string(let text): .string(text)
    case .int(let number): .int(number)
    case .bool(let flag): .bool(flag)
    case .none: .none
    case .double(let number): .double(number)
    case .tuple(let keys): .tuple(keys.map { $0.tree() })
    }
  }
}
