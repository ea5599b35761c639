// What REDUCE, BUILD and persistent ids mean for the names that `PickleGlobal` allows.
extension PickleMachine {
  /// The value that Python would get by calling `callable`; made from plain data, without calling anything.
  mutating func reduce(_ callable: PickleValue, _ arguments: PickleValue) throws(ConversionError) -> PickleValue {
    guard case .global(let global) = callable else { throw hostile("the pickle calls a value that is no name") }
    guard let items = heap.tuple(arguments) else { throw malformed(global) }
    switch global {
    case .orderedDict: return heap.add(.dictionary(ordered: true), try dictionaryItems(items, global))
    case .dictionary: return heap.add(.dictionary(ordered: false), try dictionaryItems(items, global))
    case .defaultDict:
      guard items.count <= 1 else { throw malformed(global) }
      return heap.add(.dictionary(ordered: false))
    case .set:
      guard let first = items.first else { return heap.add(.set) }
      guard items.count == 1, let values = heap.list(first) ?? heap.tuple(first) else { throw malformed(global) }
      return heap.add(.set, values)
    case .complex:
      guard items.count == 2, let real = double(items[0]), let imaginary = double(items[1]) else {
        throw malformed(global)
      }
      return .opaque(.complex(real, imaginary))
    case .bytes, .encode: return .bytes(try encodedBytes(items, global))
    case .size:
      guard items.count == 1, let sizes = heap.tuple(items[0]) ?? heap.list(items[0]) else { throw malformed(global) }
      return heap.add(.tuple, sizes)
    case .device:
      guard case .string(let type)? = items.first, items.count <= 2 else { throw malformed(global) }
      if items.count == 1 { return .opaque(.device(type, nil)) }
      guard case .int(let index) = items[1] else { throw malformed(global) }
      return .opaque(.device(type, index))
    case .rebuildTensor(let version): return try rebuildTensor(items, version: version)
    case .rebuildParameter:
      // The fourth is a dictionary of attributes that somebody gave the parameter; values do not depend on them.
      guard (3...4).contains(items.count), case .tensor? = heap.kind(items[0]) else { throw malformed(global) }
      try checkExtras(hooks: items[2], metadata: nil)
      return items[0]
    case .rebuildFromType:
      guard items.count == 4, case .global(let inner) = items[0], inner.makesTensor else { throw malformed(global) }
      guard case .global(.inert) = items[1] else { throw subclass(items[1], global) }
      return try reduce(items[0], items[2])
    case .rebuildDeviceTensor: return try deviceTensor(items, global)
    case .plainClass(let name): return plainObject(name, items)
    case .numpyDType:
      guard case .string(let code)? = items.first else { throw malformed(global) }
      guard let dtype = NumpyDType(code) else {
        throw hostile("a numpy array of type \(code.prefix(40)) has no counterpart in torch")
      }
      return heap.add(.numpyDType(dtype))
    case .numpyReconstruct:
      guard case .global(.numpyArray)? = items.first else { throw malformed(global) }
      return heap.add(.unfilledArray)
    case .numpyScalar:
      guard items.count == 2, case .numpyDType(let type)? = heap.kind(items[0]), case .bytes(let bytes) = items[1],
        let scalar = try littleEndian(type).scalar(bytes)
      else { throw malformed(global) }
      return scalar
    case .numpyFromBuffer:
      guard items.count == 4, case .bytes(let bytes) = items[0], case .numpyDType(let type)? = heap.kind(items[1]),
        let shape = integers(items[2]), case .string(let order) = items[3]
      else { throw malformed(global) }
      return heap.add(.tensor(try array(shape, type, columnMajor: order == "F", bytes)))
    case .inert, .storage, .dtype, .numpyArray: throw hostile("the pickle calls \(global), which is only ever named")
    }
  }

  /// Applies the state that `BUILD` carries. The attributes of dictionaries, such as `_metadata`, are dropped.
  mutating func build(_ value: PickleValue, _ state: PickleValue) throws(ConversionError) {
    guard case .node(let index) = value else { throw hostile("the pickle sets the state of a plain value") }
    switch heap.nodes[index].kind {
    case .dictionary: break
    case .numpyDType(var type):
      // (version, byte order, subarray, names, fields, size, alignment, flags)
      guard let fields = heap.tuple(state), fields.count >= 5, case .string(let order) = fields[1],
        case .none = fields[2], case .none = fields[3], case .none = fields[4]
      else { throw hostile("the pickle has a numpy type with fields, which torch has no counterpart for") }
      type.bigEndian = order == ">"
      heap.change(index, to: .numpyDType(type))
    case .unfilledArray:
      // (version, shape, type, is column-major, bytes)
      guard let fields = heap.tuple(state), fields.count == 5, let shape = integers(fields[1]),
        case .numpyDType(let type)? = heap.kind(fields[2]), case .bool(let columnMajor) = fields[3],
        case .bytes(let bytes) = fields[4]
      else { throw hostile("the pickle has a numpy array of objects or in an unknown form") }
      heap.change(index, to: .tensor(try array(shape, type, columnMajor: columnMajor, bytes)))
    case .object(let name): try buildObject(index, name, state)
    case .list, .tuple, .set, .tensor: throw hostile("the pickle sets the state of a value that has none")
    }
  }

  /// The fields of `("storage", class, key, location, count[, view])`.
  ///
  /// Source: `persistent_id` in `torch/serialization.py`. The location, such as `cuda:0`, does not matter here.
  func persistentID(_ value: PickleValue) throws(ConversionError) -> PersistentID {
    // Before torch 1.6 the source text of the class of a model stood in the stream.
    if let fields = heap.tuple(value), case .string("module")? = fields.first { throw wholeModel("a torch.nn.Module") }
    guard let fields = heap.tuple(value), (5...6).contains(fields.count), case .string("storage") = fields[0],
      case .global(.storage(let dtype)) = fields[1], case .int(let count) = fields[4], count >= 0
    else { throw hostile("the pickle has a persistent id that names no storage") }
    let key: String
    switch fields[2] {
    case .string(let text): key = text
    case .int(let number): key = String(number)
    default: throw hostile("the pickle has a storage without a key")
    }
    var view: (offset: Int, count: Int)?
    if fields.count == 6, let parts = heap.tuple(fields[5]) {
      guard parts.count == 3, case .int(let offset) = parts[1], case .int(let part) = parts[2], offset >= 0, part >= 0
      else { throw hostile("the pickle has a malformed view of storage \(key.prefix(40))") }
      view = (offset, part)
    }
    return PersistentID(dtype: dtype, key: key, count: count, view: view)
  }

  // MARK: Tensors

  /// `_rebuild_tensor(storage, offset, size, stride)`; version 2 adds `requires_grad, hooks[, metadata]`, and version 3
  /// inserts the type after these.
  private mutating func rebuildTensor(_ items: [PickleValue], version: Int) throws(ConversionError) -> PickleValue {
    let counts = [1: 4...4, 2: 6...7, 3: 7...8][version] ?? 4...4
    guard counts.contains(items.count), case .storage(let storage) = items[0], case .int(let offset) = items[1],
      let shape = integers(items[2]), let strides = integers(items[3])
    else { throw hostile("the pickle has a malformed tensor\(nearestKey())") }
    // The fifth argument says whether it is trained, which a conversion does not change.
    try checkExtras(
      hooks: version == 1 ? nil : items[5], metadata: items.count == counts.upperBound && version > 1 ? items.last : nil
    )
    var dtype = storage.dtype
    if version == 3 {
      guard case .global(.dtype(let name)) = items[6] else { throw hostile("a tensor\(nearestKey()) has no type") }
      dtype = DType(rawValue: name)
      guard dtype != nil else {
        throw ConversionError(
          .unreadableInput,
          "\(input.name): the tensor\(nearestKey()) has the type torch.\(name), which is not supported")
      }
    }
    guard let dtype else { throw hostile("the tensor\(nearestKey()) has an untyped storage and no type") }
    guard offset >= 0, storage.byteOffset.isMultiple(of: dtype.size) else {
      throw hostile("the tensor\(nearestKey()) has an impossible offset in storage \(storage.key)")
    }
    let (start, overflow) = offset.addingReportingOverflow(storage.byteOffset / dtype.size)
    guard !overflow else { throw hostile("the tensor\(nearestKey()) has an offset that overflows") }
    let tensor = TensorDescriptor(dtype: dtype, shape: shape, strides: strides, storage: storage.id, offset: start)
    return heap.add(.tensor(try checked(tensor, storageBytes: storage.byteCount, in: "storage \(storage.key)")))
  }

  /// A numpy array as a tensor on bytes that lie in the pickle.
  private mutating func array(
    _ shape: [Int], _ type: NumpyDType, columnMajor: Bool, _ bytes: [UInt8]
  ) throws(ConversionError) -> TensorDescriptor {
    let dtype = try littleEndian(type).dtype
    if let problem = TensorShape.problem(shape, limits: limits) {
      throw hostile("a numpy array\(nearestKey()) has \(problem)")
    }
    guard let count = TensorShape.elementCount(shape), count * dtype.size == bytes.count else {
      throw hostile("a numpy array of shape \(shape)\(nearestKey()) does not fit its \(bytes.count) bytes")
    }
    var strides = TensorShape.contiguousStrides(columnMajor ? shape.reversed() : shape)
    if columnMajor { strides.reverse() }
    let storage = try resolver.inlineStorage(bytes)
    let tensor = TensorDescriptor(dtype: dtype, shape: shape, strides: strides, storage: storage, offset: 0)
    return try checked(tensor, storageBytes: bytes.count, in: "a numpy array")
  }

  private mutating func checked(
    _ tensor: TensorDescriptor, storageBytes: Int, in place: String
  ) throws(ConversionError) -> TensorDescriptor {
    if let problem = tensor.problem(storageBytes: storageBytes, limits: limits) {
      throw hostile("the tensor\(nearestKey()) does not fit \(place): \(problem)")
    }
    tensorCount += 1
    guard tensorCount <= limits.tensors else { throw hostile("the pickle has more than \(limits.tensors) tensors") }
    return tensor
  }

  private func littleEndian(_ type: NumpyDType) throws(ConversionError) -> NumpyDType {
    guard !type.bigEndian else {
      throw ConversionError(
        .unreadableInput, "\(input.name): a numpy array is big-endian; save it again in little-endian order")
    }
    return type
  }

  // MARK: Plain data

  /// Keys and values in turn from the arguments of a dictionary type: nothing, a dictionary, or a list of pairs.
  private func dictionaryItems(
    _ items: [PickleValue], _ global: PickleGlobal
  ) throws(ConversionError) -> [PickleValue] {
    guard let first = items.first else { return [] }
    guard items.count == 1 else { throw malformed(global) }
    if let pairs = heap.dictionary(first) { return pairs }
    guard let list = heap.list(first) ?? heap.tuple(first) else { throw malformed(global) }
    var pairs: [PickleValue] = []
    for item in list {
      guard let pair = heap.tuple(item) ?? heap.list(item), pair.count == 2 else { throw malformed(global) }
      pairs += pair
    }
    return pairs
  }

  /// The bytes that protocol 2 carries as text, each byte as the character of the same number.
  private func encodedBytes(_ items: [PickleValue], _ global: PickleGlobal) throws(ConversionError) -> [UInt8] {
    guard let first = items.first else { return [] }
    if case .bytes(let bytes) = first, items.count == 1 { return bytes }
    guard items.count == 2, case .string(let text) = first, case .string(let codec) = items[1],
      ["latin1", "latin-1", "iso-8859-1"].contains(codec)
    else { throw malformed(global) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      guard let byte = UInt8(exactly: scalar.value) else { throw malformed(global) }
      bytes.append(byte)
    }
    return bytes
  }

  private func integers(_ value: PickleValue) -> [Int]? {
    guard let items = heap.tuple(value) ?? heap.list(value), items.count <= limits.rank else { return nil }
    var integers: [Int] = []
    for item in items {
      guard case .int(let integer) = item else { return nil }
      integers.append(integer)
    }
    return integers
  }

  private func double(_ value: PickleValue) -> Double? {
    switch value {
    case .double(let double): double
    case .int(let int): Double(int)
    default: nil
    }
  }

  /// An error for arguments that torch never passes.
  func malformed(_ global: PickleGlobal) -> ConversionError {
    hostile("the pickle calls \(global) in a way that no torch release writes")
  }

  /// A subclass of `Tensor` may give its bytes another meaning.
  private func subclass(_ type: PickleValue, _ global: PickleGlobal) -> ConversionError {
    guard case .global(.plainClass(let name)) = type else { return malformed(global) }
    return ConversionError(
      .unreadableInput,
      "\(input.name): the tensor\(nearestKey()) is a \(name.prefix(200)), a subclass whose bytes may mean something else; "
        + "save plain tensors: tensor.as_subclass(torch.Tensor)")
  }
}

extension PickleGlobal {
  /// True for the functions that yield a tensor.
  fileprivate var makesTensor: Bool {
    switch self {
    case .rebuildTensor, .rebuildParameter, .rebuildDeviceTensor: true
    default: false
    }
  }
}
