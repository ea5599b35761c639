/// Writes the leaves of a checkpoint: for each a root attribute with its metadata, and for tensors a dataset.
struct HDF5LeafWriter {
  /// A tensor that was written, to be linked to.
  private struct Written: Hashable {
    let storage: Int
    let dtype: DType
    let shape: [Int]
  }

  private let metadata: HDF5MetadataWriter
  private let path: String
  private let offsets: [Int]
  private let storages: [Int]
  private var rootMessages: [UInt8] = []
  private var rootMessageCount = 0
  private var groups = HDF5GroupTree()
  private var keys: Set<String> = []
  private var written: [Written: String] = [:]

  /// A writer of leaves. `offsets` and `storages` are places and sizes of the tensor data.
  init(metadata: HDF5MetadataWriter, path: String, offsets: [Int], storages: [Int]) {
    self.metadata = metadata
    self.path = path
    self.offsets = offsets
    self.storages = storages
  }

  private func problem(_ key: String, _ what: String) -> ConversionError {
    ConversionError(
      .usage,
      "\(path): \(key) \(what), which a Cerebras HDF5 checkpoint cannot hold; write a torch archive instead")
  }

  // MARK: Root attributes

  /// A root attribute that is a float.
  mutating func attribute(_ name: String, number: Double) throws(ConversionError) {
    var data = HDF5Encoder()
    data.append(number.bitPattern)
    try attribute(name, type: HDF5Encoder.datatype(.float64) ?? [], data: data.bytes)
  }

  /// A root attribute that is a boolean.
  mutating func attribute(_ name: String, flag: Bool) throws(ConversionError) {
    try attribute(name, type: HDF5Encoder.boolean, data: [flag ? 1 : 0])
  }

  /// A root attribute that is a string.
  mutating func attribute(_ name: String, text: String) throws(ConversionError) {
    try attribute(name, type: HDF5Encoder.string, data: try metadata.string(text))
  }

  private mutating func attribute(_ name: String, type: [UInt8], data: [UInt8]) throws(ConversionError) {
    guard !name.utf8.contains(0),
      let message = HDF5Encoder.attribute(name, type: type, space: HDF5Encoder.dataspace([]), data: data)
    else { throw problem(name, "is a name of more than 64 KiB or with a NUL") }
    rootMessages += message
    rootMessageCount += 1
  }

  // MARK: Leaves

  /// Writes a subtree whose key is `path`; nil is the root. Recursion is as deep as the tree.
  mutating func write(_ tree: ObjectTree<OutputTensor>, path: String?) throws(ConversionError) {
    func below(_ name: String) -> String { path.map { "\($0).\(name)" } ?? name }
    switch tree {
    case .dictionary(let entries, _):
      for entry in entries { try write(entry.value, path: below(entry.key.pytreeName)) }
    case .list(let values), .tuple(let values), .set(let values):
      for (index, value) in values.enumerated() { try write(value, path: below("\(index)")) }
    default: try leaf(tree, key: path ?? "")
    }
  }

  private mutating func leaf(_ value: ObjectTree<OutputTensor>, key: String) throws(ConversionError) {
    guard keys.insert(key).inserted else {
      throw problem(key, "is the key of two entries")
    }
    switch value {
    case .tensor(let tensor): try self.tensor(tensor, key: key)
    case .none: try describe(key, #""__TYPE__": "NoneSerializer", "__NONE__": true"#)
    case .bool(let flag): try scalar(key, flag ? "true" : "false")
    case .int(let number): try scalar(key, "\(number)")
    case .longInt(let digits): try scalar(key, digits)
    case .double(let number): try scalar(key, PythonFloat.json(number))
    case .string(let text):
      try describe(
        key, #""string_value": \#(JSONWriter.quoted(text)), "__TYPE__": "StringSerializer", "__NONE__": true"#)
    case .bytes(let bytes): try object(key, PickledLeaf.bytes(bytes))
    case .opaque(let opaque): try object(key, PickledLeaf.opaque(opaque))
    case .dictionary, .list, .tuple, .set: break
    }
  }

  private mutating func scalar(_ key: String, _ json: String) throws(ConversionError) {
    try describe(key, #""scalar_value": \#(json), "__TYPE__": "ScalarSerializer", "__NONE__": true"#)
  }

  /// Writes the root attribute of a leaf. `fields` are the entries of its own metadata, as JSON.
  private mutating func describe(_ key: String, _ fields: String) throws(ConversionError) {
    let name = JSONWriter.quoted(key)
    let own = JSONWriter.quoted("\(key).__metadata__")
    try attribute(
      "\(key).__metadata__",
      text: #"{"__spec__": \#(PytreeEncoder.encodeLeaf(key: key)), "__objects__": [\#(name)], \#(own): {\#(fields)}}"#)
  }

  private mutating func tensor(_ tensor: OutputTensor, key: String) throws(ConversionError) {
    let identity = Written(storage: tensor.storage, dtype: tensor.dtype, shape: tensor.shape)
    if let first = written[identity] {
      return try describe(
        key,
        #""key": \#(JSONWriter.quoted(first)), "__LINKED__": true, "__TYPE__": "LinkedObject", "__NONE__": true"#)
    }
    written[identity] = key
    guard let type = HDF5Encoder.datatype(tensor.dtype), let code = Self.runtimeCode(tensor.dtype) else {
      throw problem(key, "is a tensor of \(tensor.dtype.rawValue)")
    }
    guard let count = TensorShape.elementCount(tensor.shape), offsets.indices.contains(tensor.storage),
      count <= storages[tensor.storage] / tensor.dtype.size, tensor.shape.count <= 32
    else { throw problem(key, "has the shape \(tensor.shape)") }
    let name = "torch.\(tensor.dtype.rawValue)"
    let shape = tensor.shape.map { "\($0)" }.joined(separator: ", ")
    try describe(
      key,
      #""__TORCH__": true, "shapes": [[\#(shape)]], "dtypes": ["\#(name)"], "rtfx_dtypes": [\#(code)], "#
        + #""__TYPE__": "TorchTensorSerializer", "__NUMPY__": true, "compressed": false"#)

    var shapeData = HDF5Encoder()
    for dimension in tensor.shape { shapeData.append(UInt64(dimension)) }
    var codeData = HDF5Encoder()
    codeData.append(UInt64(code))
    let integer = HDF5Encoder.datatype(.int64) ?? []
    let scalar = HDF5Encoder.dataspace([])
    // An empty list has no integers, so numpy makes it an array of floats.
    let shapeType = tensor.shape.isEmpty ? HDF5Encoder.datatype(.float64) ?? [] : integer
    try dataset(
      key, space: HDF5Encoder.dataspace(tensor.shape), type: type,
      layout: HDF5Encoder.contiguousLayout(offset: offsets[tensor.storage], byteCount: count * tensor.dtype.size),
      attributes: [
        Self.isTorch,
        HDF5Encoder.attribute(
          "shapes", type: shapeType, space: HDF5Encoder.dataspace([1, tensor.shape.count]), data: shapeData.bytes),
        HDF5Encoder.attribute(
          "dtypes", type: HDF5Encoder.string, space: HDF5Encoder.dataspace([1]), data: try metadata.string(name)),
        HDF5Encoder.attribute(
          "rtfx_dtypes", type: integer, space: HDF5Encoder.dataspace([1]), data: codeData.bytes),
        HDF5Encoder.attribute(
          "__TYPE__", type: HDF5Encoder.string, space: scalar, data: try metadata.string("TorchTensorSerializer")),
        Self.isNotCompressed, Self.isNumpy,
      ])
  }

  /// Writes a Python object that is neither number, text nor container: a pickle in an attribute.
  private mutating func object(_ key: String, _ pickle: [UInt8]) throws(ConversionError) {
    let scalar = HDF5Encoder.dataspace([])
    try describe(key, #""__TYPE__": "ObjectSerializer", "__BYTES__": true, "compressed": false"#)
    try dataset(
      key, space: HDF5Encoder.nullDataspace, type: HDF5Encoder.datatype(.float32) ?? [],
      layout: HDF5Encoder.contiguousLayout(offset: 0, byteCount: 0),
      attributes: [
        HDF5Encoder.attribute(
          "__TYPE__", type: HDF5Encoder.string, space: scalar, data: try metadata.string("ObjectSerializer")),
        Self.isNotCompressed,
        HDF5Encoder.attribute(
          "__BYTES__", type: HDF5Encoder.opaque(size: pickle.count), space: scalar, data: pickle),
      ])
  }

  // The same for every dataset.
  private static let isTorch = flag("__TORCH__", true)
  private static let isNumpy = flag("__NUMPY__", true)
  private static let isNotCompressed = flag("compressed", false)

  private static func flag(_ name: String, _ value: Bool) -> [UInt8]? {
    HDF5Encoder.attribute(
      name, type: HDF5Encoder.boolean, space: HDF5Encoder.dataspace([]), data: [value ? 1 : 0])
  }

  private mutating func dataset(
    _ key: String, space: [UInt8], type: [UInt8], layout: [UInt8], attributes: [[UInt8]?]
  ) throws(ConversionError) {
    var messages = [
      HDF5Encoder.message(.dataspace, space), HDF5Encoder.message(.datatype, type, isConstant: true),
      HDF5Encoder.message(.fillValue, HDF5Encoder.fillValue, isConstant: true), HDF5Encoder.message(.layout, layout),
    ]
    for attribute in attributes {
      guard let attribute else { throw problem(key, "is an object of more than 64 KiB") }
      messages.append(attribute)
    }
    let body = Array(messages.joined())
    let header = try metadata.append(
      HDF5Encoder.objectHeader(messageCount: messages.count, byteCount: body.count) + body)
    guard let parts = HDF5GroupTree.parts(key) else { throw problem(key, "is a name without letters or with a NUL") }
    guard groups.insert(parts[...], header: header) else {
      throw problem(key, "has the HDF5 path of another entry")
    }
  }

  /// The number of an element type in the Cerebras runtime, `rtfx_dtypes`; nil for types that `cstorch.save` refuses.
  static func runtimeCode(_ dtype: DType) -> Int? {
    switch dtype {
    case .bool: 1
    case .int16: 3
    case .int32: 4
    case .int64: 5
    case .uint8: 6
    case .float16: 10
    case .float32: 11
    case .float64: 12
    case .bfloat16: 15
    default: nil
    }
  }

  // MARK: The end

  /// Writes the groups and the root header. The result is the superblock, which goes to the start of the file.
  mutating func finish() throws(ConversionError) -> [UInt8] {
    let addresses = try groups.write(to: metadata)
    try Interruption.check()
    let messages = HDF5GroupTree.symbolTable(addresses) + rootMessages
    guard messages.count <= Int(UInt32.max) else { throw problem("the checkpoint", "has more than 4 GiB of names") }
    // The count of a version-1 header has 16 bits, and libhdf5 1.14 insists on it; version 2 has no count.
    let root = try metadata.append(
      rootMessageCount < Int(UInt16.max)
        ? HDF5Encoder.objectHeader(messageCount: rootMessageCount + 1, byteCount: messages.count) + messages
        : HDF5Encoder.objectHeader2(messages))
    try Interruption.check()
    try metadata.close()

    var superblock = HDF5Encoder()
    superblock.append(HDF5File.signature)
    // All versions are 0; addresses and lengths have 8 bytes; K of symbol nodes is 4, of B-tree nodes 16.
    superblock.append([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0])
    superblock.append(UInt64(0))
    superblock.append(HDF5Encoder.undefined)
    superblock.append(UInt64(metadata.position))
    superblock.append(HDF5Encoder.undefined)
    // The entry of the root group, with the addresses of its parts cached.
    superblock.append(UInt64(0))
    superblock.append(UInt64(root))
    superblock.append(UInt32(1))
    superblock.append(UInt32(0))
    superblock.append(UInt64(addresses.tree))
    superblock.append(UInt64(addresses.heap))
    return superblock.bytes
  }
}
