import SystemPackage
import Testing

@testable import Core

/// A checkpoint in memory. Each tensor is float32 and counts up from a number of its own, so that every element tells
/// where it came from.
struct MemoryCheckpoint: TensorSource {
  let kind = ContainerKind.safetensors
  let tree: ObjectTree<TensorDescriptor>
  let storages: [StorageDescriptor]
  private let values: [String: [Float]]
  private let keys: [String]

  /// Tensors by key and shape; a nil shape stands for None. `model` puts them under an entry of this name, as a
  /// Model Zoo checkpoint does.
  init(_ shapes: KeyValuePairs<String, [Int]?>, model: Bool) {
    self.init(shapes.map { ($0.key, $0.value) }, model: model)
  }

  /// `dtypes` are element types of tensors that are planned only.
  init(_ shapes: [(key: String, shape: [Int]?)], model: Bool, dtypes: [String: DType] = [:]) {
    var entries: [ObjectTree<TensorDescriptor>.Entry] = []
    var storages: [StorageDescriptor] = []
    var values: [String: [Float]] = [:]
    var keys: [String] = []
    for (key, shape) in shapes {
      guard let shape else {
        entries.append(.init(.string(key), .none))
        continue
      }
      let count = shape.reduce(1, *)
      let dtype = dtypes[key] ?? .float32
      entries.append(
        .init(.string(key), .tensor(TensorDescriptor(dtype: dtype, shape: shape, storage: StorageID(keys.count)))))
      values[key] = (0..<count).map { Float(keys.count * 10_000 + $0) }
      keys.append(key)
      storages.append(StorageDescriptor(byteCount: count * 4, extent: nil))
    }
    let state = ObjectTree.dictionary(entries, ordered: true)
    tree = model ? .dictionary([.init(.string("model"), state)], ordered: false) : state
    self.storages = storages
    self.values = values
    self.keys = keys
  }

  /// The elements of a tensor, row-major.
  subscript(_ key: String) -> [Float] { values[key] ?? [] }

  /// The rows of a matrix.
  func rows(_ key: String, columns: Int) -> [[Float]] { self[key].chunked(columns) }

  func read(_ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    let elements = values[keys[storage.index]] ?? []
    elements.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
    }
  }
}

extension Plan {
  /// The keys of the state dict that will be written.
  var keys: Set<String> { Set(tensors.map(\.key)) }

  /// The planned tensor under a key.
  func tensor(_ key: String) -> SymbolicTensor? { tensors.first { $0.key == key }?.tensor }

  /// The elements of a float32 tensor of the plan, computed by the tile evaluator as a conversion computes them.
  func floats(_ key: String, from source: MemoryCheckpoint) throws -> [Float] {
    let planned = try #require(tensor(key), "the plan has no tensor '\(key)'")
    #expect(planned.dtype == .float32)
    return try evaluated(planned, sources: sources, from: source)
  }
}

/// The elements of a float32 tensor, row-major.
func evaluated(
  _ tensor: SymbolicTensor, sources: [String: TensorDescriptor], from source: some TensorSource
) throws -> [Float] {
  var elements = [Float](repeating: .nan, count: tensor.shape.reduce(1, *))
  let lowered = LoweredTensor(tensor.expression, dtype: tensor.dtype, descriptors: sources)
  try elements.withUnsafeMutableBytes { buffer in
    try TileEvaluator(source: source, scratchBytes: 4096).evaluate(
      lowered, TileEvaluator.Box(lower: tensor.shape.map { _ in 0 }, count: tensor.shape),
      into: TileEvaluator.Target(
        pointer: try #require(buffer.baseAddress), strides: TensorShape.contiguousStrides(tensor.shape), elementSize: 4)
    )
  }
  return elements
}

extension Array {
  /// Runs of `length` elements.
  func chunked(_ length: Int) -> [[Element]] {
    stride(from: 0, to: count, by: length).map { Array(self[$0..<Swift.min($0 + length, count)]) }
  }
}
