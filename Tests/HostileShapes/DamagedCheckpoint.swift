import Core
import Foundation
import OrderedCollections

/// A recorded checkpoint with other shapes, in one of the containers.
struct DamagedCheckpoint {
  /// A tensor as the file states it: nothing need fit together.
  struct Tensor {
    let key: String
    let dtype: DType
    var shape: [Int]
    var strides: [Int]
    var offset = 0
    var bytes: [UInt8]
    /// Written as a numpy array, where the container has such.
    var isNumpy = false
  }

  enum Container: CaseIterable {
    case safetensors, torchZip, torchLegacy, hdf5
  }

  private(set) var tensors: [Tensor]
  let container: Container
  /// True when the state dict stands under `model`.
  let isWrapped: Bool
  /// The text of the config.
  let config: String

  var fileExtension: String { container == .safetensors ? "safetensors" : isWrapped ? "mdl" : "bin" }

  /// Dimensions that have made arithmetic overflow somewhere, and small ones.
  private static let extremes = [
    0, 0, 0, 1, 2, 3, 7, 8, 1 << 15, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 42, 1 << 44, (1 << 44) + 1, 1 << 59,
    1 << 61, (1 << 62) - 1, 1 << 62, .max,
  ]

  init(_ recorded: RecordedCheckpoint, _ random: inout some RandomNumberGenerator) throws {
    container = Container.allCases.randomElement(using: &random) ?? .safetensors
    isWrapped = recorded.source != "hf" && container != .safetensors
    config = try Self.config(recorded, &random)
    tensors = recorded.tensors.map {
      Tensor(
        key: $0.key, dtype: $0.dtype, shape: $0.shape, strides: TensorShape.contiguousStrides($0.shape), bytes: $0.bytes
      )
    }
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      guard let chosen = tensors.randomElement(using: &random) else { return }
      let shape = Self.shape(like: chosen.shape, &random)
      // Parts that go into one tensor have equal shapes, so often all tensors of a kind change together.
      let scope = Int.random(in: 0..<3, using: &random)
      for index in tensors.indices {
        let tensor = tensors[index]
        guard tensor.key == chosen.key || scope > 0 && tensor.shape == chosen.shape && tensor.dtype == chosen.dtype,
          scope != 1 || tensor.key.suffix(6) == chosen.key.suffix(6)
        else { continue }
        change(index, to: shape, &random)
      }
    }
  }

  private mutating func change(_ index: Int, to shape: [Int], _ random: inout some RandomNumberGenerator) {
    tensors[index].shape = shape
    if shape.contains(0) { tensors[index].bytes = [] }
    tensors[index].strides =
      TensorShape.elementCount(shape) == nil ? shape.map { _ in 1 } : TensorShape.contiguousStrides(shape)
    if Int.random(in: 0..<4, using: &random) == 0 {
      tensors[index].strides = shape.map { _ in Self.extremes.randomElement(using: &random) ?? 1 }
    }
    if Int.random(in: 0..<8, using: &random) == 0 {
      tensors[index].offset = Self.extremes.randomElement(using: &random) ?? 0
    }
    tensors[index].isNumpy = Int.random(in: 0..<4, using: &random) == 0
  }

  /// A shape with a zero in most cases; half of them keep to the product that readers allow, so that planning and writing
  /// meet them too.
  private static func shape(like old: [Int], _ random: inout some RandomNumberGenerator) -> [Int] {
    let rank = Int.random(in: 0..<3, using: &random) > 0 ? old.count : Int.random(in: 0...5, using: &random)
    let isModest = Bool.random(using: &random)
    var shape: [Int] = []
    for axis in 0..<rank {
      let keeps = axis < old.count && Int.random(in: 0..<3, using: &random) == 0
      shape.append(keeps ? old[axis] : extremes.randomElement(using: &random) ?? 0)
    }
    guard rank > 0 else { return shape }
    if Int.random(in: 0..<8, using: &random) > 0 { shape[Int.random(in: 0..<rank, using: &random)] = 0 }
    while isModest, TensorShape.problem(shape) != nil, let largest = shape.max(),
      let axis = shape.firstIndex(of: largest)
    {
      shape[axis] = largest >> 8
    }
    return shape
  }

  /// The config, in a third of the cases with another number somewhere.
  private static func config(
    _ recorded: RecordedCheckpoint, _ random: inout some RandomNumberGenerator
  ) throws -> String {
    var root = recorded.config
    func changed(_ object: ConfigObject, _ random: inout some RandomNumberGenerator) -> ConfigObject {
      var object = object
      let keys = object.keys.filter { key in
        if case .number(let number) = object[key] { number.int != nil } else { false }
      }
      let numbers = [0, 1, 2, 16, 1 << 12, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 62, .max, -1]
      if let key = keys.randomElement(using: &random), let number = numbers.randomElement(using: &random) {
        object[key] = .int(number)
      }
      return object
    }
    if Int.random(in: 0..<3, using: &random) == 0 {
      if case .object(let model)? = root["model"] {
        root["model"] = .object(changed(model, &random))
      } else {
        root = changed(root, &random)
      }
    }
    return ConfigDocument(root: root, syntax: recorded.source == "hf" ? .json : .yaml).render()
  }

  /// The bytes of the file. `folder` is for files that are made on the way.
  func bytes(in folder: String) throws -> [UInt8] {
    switch container {
    case .safetensors: safetensors()
    case .torchZip: TorchFile(self).zip()
    case .torchLegacy: TorchFile(self).legacy()
    case .hdf5: try hdf5(in: folder) ?? TorchFile(self).zip()
    }
  }

  private func safetensors() -> [UInt8] {
    var position = 0
    let entries = tensors.map { tensor in
      defer { position += tensor.bytes.count }
      return #""\#(tensor.key)":{"dtype":"\#(Self.names[tensor.dtype] ?? "F32")","shape":\#(tensor.shape),"#
        + #""data_offsets":[\#(position),\#(position + tensor.bytes.count)]}"#
    }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    return length + header + tensors.flatMap(\.bytes)
  }

  private static let names: [DType: String] = [
    .float64: "F64", .float32: "F32", .float16: "F16", .bfloat16: "BF16", .int64: "I64", .int32: "I32", .int16: "I16",
    .int8: "I8", .uint8: "U8", .bool: "BOOL",
  ]

  /// HDF5 whose large dimensions are written as others first and changed in the file afterwards, because no writer takes
  /// them. Nil when the container cannot hold the tensors.
  private func hdf5(in folder: String) throws -> [UInt8]? {
    var changes: [(from: Int, to: Int)] = []
    var entries: [ObjectTree<OutputTensor>.Entry] = []
    for (index, tensor) in tensors.enumerated() {
      let shape = tensor.shape.map { dimension in
        guard dimension > 1 << 12 else { return dimension }
        changes.append((4_000 + changes.count % 96, dimension))
        return changes[changes.count - 1].from
      }
      entries.append(
        .init(.string(tensor.key), .tensor(OutputTensor(dtype: tensor.dtype, shape: shape, storage: index))))
    }
    // What claims more than it holds is refused by the writer; a zero makes it hold nothing.
    let storages = zip(tensors, entries).map { tensor, entry -> Int in
      guard case .tensor(let output) = entry.value else { return 0 }
      return max(tensor.bytes.count, (TensorShape.elementCount(output.shape) ?? 0) * tensor.dtype.size)
    }
    guard storages.reduce(0, +) < 64 << 20 else { return nil }
    let state = ObjectTree<OutputTensor>.dictionary(entries, ordered: true)
    let tree = isWrapped ? ObjectTree.dictionary([.init(.string("model"), state)], ordered: false) : state
    let path = folder + "/made.mdl"
    do throws(ConversionError) {
      let file = try StagedFile(path: path)
      let sink = try HDF5Writer(file: file, layout: SinkLayout(tree: tree, storages: storages))
      for (tensor, offset) in zip(tensors, sink.offsets) { try sink.file.write(tensor.bytes, at: offset) }
      try sink.finish(checksums: [])
      try sink.file.publish(durably: false)
    } catch { return nil }
    defer { try? FileManager.default.removeItem(atPath: path) }
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    func littleEndian(_ value: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    for change in changes {
      let (from, to) = (littleEndian(change.from), littleEndian(change.to))
      // Dimensions lie at multiples of 8.
      for position in stride(from: 0, to: bytes.count - 7, by: 8) where bytes[position] == from[0] {
        if bytes[position..<position + 8].elementsEqual(from) {
          bytes.replaceSubrange(position..<position + 8, with: to)
        }
      }
    }
    return bytes
  }
}
