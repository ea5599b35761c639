import Foundation
import OrderedCollections
import Testing

@testable import Core

/// Comparisons of real files of each container.
@Suite struct CheckpointComparisonTests {
  typealias Kind = CheckpointComparison.Difference.Kind

  let model: SmallGPT2

  init() throws { model = try SmallGPT2() }

  private func compare(
    _ left: String, _ right: String, _ tolerance: CheckpointComparison.Tolerance? = nil
  ) throws -> CheckpointComparison {
    var options = CheckpointComparison.Options()
    options.tolerance = tolerance
    options.memoryBudget = 1 << 20
    return try CheckpointComparison(left: left, right: right, options: options)
  }

  /// Writes tensors, and changes elements of them by their index.
  private func write(
    _ sink: any TensorSink.Type, as name: String, changing changes: [String: [Int: Float]] = [:],
    dropping: Set<String> = [], dtype: DType = .float32
  ) throws -> String {
    var sample = SmallGPT2.sample(SmallGPT2.tensors.map(\.key).filter { !dropping.contains($0) }, dtype: dtype)
    guard case .dictionary(let entries, _) = sample.tree else { return "" }
    for entry in entries {
      guard case .tensor(let tensor) = entry.value else { continue }
      for (index, value) in changes[entry.key.description] ?? [:] {
        let bytes = withUnsafeBytes(of: value, Array.init)
        sample.contents[tensor.storage].replaceSubrange(index * 4..<index * 4 + 4, with: bytes)
      }
    }
    try sample.write(with: sink, to: model.folder.file(name))
    return model.folder.file(name)
  }

  @Test func containersDoNotMatter() throws {
    let paths = [
      try write(TorchZipWriter.self, as: "a.bin"), try write(SafetensorsWriter.self, as: "a.safetensors"),
      try write(HDF5Writer.self, as: "a.mdl"),
      try model.writeShards(SafetensorsWriter.self, base: "model", ending: "safetensors")[0],
    ]
    for left in paths {
      for right in paths {
        let comparison = try compare(left, right)
        #expect(comparison.isSame, "\(left) \(right): \(comparison.differences.map(\.key))")
        #expect(comparison.tensors == SmallGPT2.tensors.count)
      }
    }
  }

  @Test(arguments: [0, 1, 2]) func findsOneElementInAnyContainer(container: Int) throws {
    let sinks: [any TensorSink.Type] = [TorchZipWriter.self, SafetensorsWriter.self, HDF5Writer.self]
    let left = try write(sinks[(container + 1) % 3], as: "a")
    // An element is 100 * the place of the tensor + its index / 128: one changes by a bit, the next by 1 / 128.
    let key = SmallGPT2.tensors[4].key
    let value = Float(400) + Float(11) / 128
    let right = try write(sinks[container], as: "b", changing: [key: [11: value.nextUp, 12: value]])
    let comparison = try compare(left, right)
    #expect(comparison.differences.map(\.key) == [key])
    let distance = Double(Float(1) / 128)
    #expect(
      comparison.differences.first?.kind
        == .elements(differing: 2, of: 192, first: [0, 11], largest: distance))
    #expect(try compare(left, right, .init(relative: 0, absolute: distance)).isSame)
    #expect(try !compare(left, right, .init(relative: 0, absolute: distance / 2)).isSame)
    #expect(try compare(left, right, .init(relative: distance / 399, absolute: 0)).isSame)
    #expect(try !compare(left, right, .init(relative: 0, absolute: 0)).isSame)
  }

  @Test func namesWhatIsMissingAndOfAnotherType() throws {
    let (first, last) = (SmallGPT2.tensors[0].key, SmallGPT2.tensors[1].key)
    let left = try write(TorchZipWriter.self, as: "a", dropping: [first])
    let right = try write(SafetensorsWriter.self, as: "b", dropping: [last])
    let kinds = try compare(left, right).differences.map { ($0.key, $0.kind) }
    #expect(kinds.map(\.0) == [last, first])
    #expect(kinds.map(\.1) == [.onlyLeft, .onlyRight])

    let double = try write(TorchZipWriter.self, as: "c", dtype: .float64)
    let types = try compare(try write(HDF5Writer.self, as: "d"), double)
    #expect(types.differences.count == SmallGPT2.tensors.count)
    #expect(types.differences.allSatisfy { $0.kind == .dtype })
    let document = types.document
    #expect(document["same"] == .bool(false))
    guard case .array(let differences)? = document["differences"], case .object(let entry)? = differences.first else {
      Issue.record("no differences")
      return
    }
    #expect(entry["difference"] == "dtype")
    #expect(entry["right"] == ["dtype": "float64", "shape": [11, 8]] || entry["key"] == "lm_head.weight")
  }

  @Test func comparesShapesAndOtherValues() throws {
    func file(_ name: String, _ shape: [Int], _ step: Int, _ rate: Double) throws -> String {
      let tree = ObjectTree<OutputTensor>.dictionary(
        [
          .init(.string("w"), .tensor(OutputTensor(dtype: .int64, shape: shape, storage: 0))),
          .init(.string("step"), .int(step)), .init(.string("rate"), .double(rate)),
          .init(.string("betas"), .list([.double(0.9), .double(0.95)])),
        ], ordered: true)
      try Sample(tree: tree, contents: [[UInt8](repeating: 1, count: 48)])
        .write(with: TorchZipWriter.self, to: model.folder.file(name))
      return model.folder.file(name)
    }
    let left = try file("a", [2, 3], 7, .nan)
    #expect(try compare(left, try file("b", [2, 3], 7, .nan)).isSame)
    let comparison = try compare(left, try file("c", [3, 2], 8, 0.1))
    #expect(comparison.differences.map(\.key) == ["rate", "step", "w"])
    #expect(comparison.differences.map(\.kind) == [.value, .value, .shape])
    #expect(comparison.tensors == 1 && comparison.others == 4)
  }

  @Test func countsNotANumberAndInfinity() throws {
    let key = SmallGPT2.tensors[0].key
    let left = try write(SafetensorsWriter.self, as: "a", changing: [key: [0: .nan, 9: .infinity, 10: 1]])
    let same = try write(TorchZipWriter.self, as: "b", changing: [key: [0: .nan, 9: .infinity, 10: 1]])
    let other = try write(TorchZipWriter.self, as: "c", changing: [key: [0: .nan, 9: 5, 10: .nan]])
    let anotherNaN = try write(
      TorchZipWriter.self, as: "d", changing: [key: [0: Float(bitPattern: 0xFFC0_0001), 9: .infinity, 10: 1]])
    #expect(try compare(left, same).isSame)
    #expect(try !compare(left, anotherNaN).isSame, "other bits")
    #expect(try compare(left, anotherNaN, .init()).isSame, "both are NaN")
    for tolerance in [nil, .init(relative: 1, absolute: 1e30)] as [CheckpointComparison.Tolerance?] {
      #expect(
        try compare(left, other, tolerance).differences.map(\.kind)
          == [.elements(differing: 2, of: 88, first: [1, 1], largest: nil)])
    }
  }

  @Test func comparesEveryType() {
    for dtype in DType.allCases {
      let left = [UInt8](repeating: 0x11, count: dtype.size * 4)
      var right = left
      right[dtype.size * 2] = 0x12
      let exact = ElementComparison(tolerance: nil).compare(left, right, dtype, count: 4)
      #expect(exact.differing == 1 && exact.first == 2, "\(dtype)")
      let close = ElementComparison(tolerance: .init(relative: 1, absolute: 1)).compare(left, right, dtype, count: 4)
      #expect(close.differing == 0, "\(dtype)")
    }
    let left: [Int64] = [1 << 60], right: [Int64] = [1 << 60 + 1]
    let exact = ElementComparison(tolerance: nil).compare(left, right, .int64, count: 1)
    #expect(exact.differing == 1, "equal in double precision, and yet not the same")
  }

  @Test func endsWhenItIsTold() throws {
    let path = try write(SafetensorsWriter.self, as: "a")
    let error = conversionError {
      try CheckpointComparison(left: path, right: path, options: .init(), isCancelled: { true })
    }
    #expect(error?.kind == .cancelled)
  }

  @Test func namesAFileThatIsNoCheckpoint() throws {
    let path = try write(SafetensorsWriter.self, as: "a")
    let text = try model.folder.write(Array("hello, this is no checkpoint".utf8), as: "b.bin")
    let error = conversionError { try CheckpointComparison(left: path, right: text) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("b.bin") == true)
  }
}
