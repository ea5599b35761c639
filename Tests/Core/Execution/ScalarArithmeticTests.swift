import Foundation
import Testing

@testable import Core

/// Arithmetic with a number against what torch computes, bit for bit.
@Suite struct ScalarArithmeticTests {
  typealias Operation = @Sendable (Double) -> ElementFunction
  static let operations: [(name: String, recorded: String, function: Operation)] = [
    ("multiply", "mul", { .multiply($0) }), ("divide", "div", { .divide($0) }), ("add", "add", { .add($0) }),
    ("subtract", "sub", { .subtract($0) }),
  ]

  private struct Recording: Decodable {
    struct Table: Decodable {
      let dtype: String
      let inputs: String
      let multiply, divide, add, subtract: [String]
      let multiplyThenDivide: String
    }

    let scalars: [String]
    let multiplyThenDivide: [String]
    let tables: [Table]
  }

  @Test func equalsTheRecordedTable() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Fixtures/arithmetic/rounding.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let recording = try decoder.decode(Recording.self, from: Data(contentsOf: file))
    let scalars = try recording.scalars.map { Double(bitPattern: try #require(UInt64($0, radix: 16))) }
    let pair = try recording.multiplyThenDivide.map { try #require(Double($0)) }
    #expect(recording.tables.count == 4)
    for table in recording.tables {
      let dtype = try #require(DType(rawValue: table.dtype))
      let input = try bits(table.inputs)
      let rows = [table.multiply, table.divide, table.add, table.subtract]
      for (operation, rows) in zip(Self.operations, rows) {
        #expect(rows.count == scalars.count)
        for (scalar, row) in zip(scalars, rows) {
          let found = applied([operation.function(scalar)], dtype, input)
          #expect(differences(found, try bits(row), dtype) == [], "\(dtype) \(operation.name) \(scalar)")
        }
      }
      let found = applied([.multiply(pair[0]), .divide(pair[1])], dtype, input)
      #expect(differences(found, try bits(table.multiplyThenDivide), dtype) == [], "\(dtype), two roundings")
    }
  }

  /// All recorded results, computed as a conversion computes them.
  @Test(.enabled(if: FileManager.default.fileExists(atPath: SharedFiles.folder + "/goldens/cs-2.10-arith")))
  func equalsEveryRecordedResult() throws {
    let folder = SharedFiles.folder + "/goldens/cs-2.10-arith/"
    let source = try Checkpoint.open(path: folder + "rounding.safetensors")
    let description = try SharedFiles.json("goldens/cs-2.10-arith/rounding.json")
    let scalars = try (try #require(description["scalars"] as? [[String: Any]])).map { scalar in
      Double(bitPattern: try #require(UInt64((scalar["float64_bits"] as? String ?? "").dropFirst(2), radix: 16)))
    }
    let pairs = try (try #require(description["pairs"] as? [[String: Any]])).map { pair in
      (try #require(Double(pair["a"] as? String ?? "")), try #require(Double(pair["b"] as? String ?? "")))
    }
    let types: [DType] = [.float64, .float32, .float16, .bfloat16]
    var compared = 0
    for dtype in types {
      let x = "x/\(dtype.rawValue)"
      for (operation, (index, scalar)) in Self.operations.flatMap({ o in scalars.enumerated().map { (o, $0) } }) {
        let expected = try elements(of: "\(operation.recorded)/\(dtype.rawValue)/\(index)", source)
        let found = try elements(of: x, source, [operation.function(scalar)])
        #expect(differences(found, expected, dtype) == [], "\(dtype) \(operation.name) \(scalar)")
        compared += expected.count
      }
      for (index, (a, b)) in pairs.enumerated() {
        let expected = try elements(of: "mul_then_div/\(dtype.rawValue)/\(index)", source)
        let found = try elements(of: x, source, [.multiply(a), .divide(b)])
        #expect(differences(found, expected, dtype) == [], "\(dtype) * \(a) / \(b)")
      }
      for target in types where target != .float64 && target != dtype {
        let expected = try elements(of: "cast/\(dtype.rawValue)/\(target.rawValue)", source)
        let found = try elements(of: x, source, [.cast(from: dtype, to: target)])
        #expect(differences(found, expected, target) == [], "\(dtype) to \(target)")
      }
    }
    #expect(compared == 379_104)
  }

  /// Every value of the float8 types comes back from float32, and results are rounded as the types define.
  @Test func roundsFloat8AsDefined() {
    func one(_ dtype: DType, _ bits: UInt64, _ function: ElementFunction) -> UInt64 {
      applied([function], dtype, [bits])[0]
    }
    for dtype in [DType.float8E4M3FN, .float8E5M2] {
      let all = (0...255).map { UInt64($0) }
      #expect(differences(applied([.multiply(-1), .multiply(-1)], dtype, all), all, dtype) == [])
    }
    // 448 + 16 is a tie with what would come next; 17 is beyond it. There is no infinity.
    #expect(one(.float8E4M3FN, 0x7E, .add(16)) == 0x7E)
    #expect(one(.float8E4M3FN, 0x7E, .multiply(1.04)) == 0x7F)
    // 1 + 1/16 and 1 + 3/16 are ties.
    #expect(one(.float8E4M3FN, 0x38, .multiply(1.0625)) == 0x38)
    #expect(one(.float8E4M3FN, 0x38, .multiply(1.1875)) == 0x3A)
    // Subnormals count in steps of 2^-9.
    #expect(one(.float8E4M3FN, 0x03, .divide(2)) == 0x02)
    #expect(one(.float8E4M3FN, 0x01, .divide(2)) == 0x00)
    #expect(one(.float8E5M2, 0x7B, .multiply(1.0714)) == 0x7B)
    #expect(one(.float8E5M2, 0x7B, .multiply(1.0715)) == 0x7C)
    #expect(one(.float8E5M2, 0x3C, .multiply(1.125)) == 0x3C)
    #expect(one(.float8E5M2, 0x3C, .multiply(1.375)) == 0x3E)
    #expect(one(.float8E5M2, 0x03, .divide(2)) == 0x02)
  }

  /// A box that is strided on every axis, and nothing beside it.
  @Test func computesStridedBoxes() {
    var elements = [Float](repeating: 3, count: 100)
    elements.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      ScalarArithmetic.apply(.init(.divide, 2), .float32, counts: [3, 2], strides: [20, 7], base + 4)
    }
    #expect(elements.indices.filter { elements[$0] == 1.5 } == [1, 8, 21, 28, 41, 48])
    #expect(elements.count { $0 == 3 } == 94)
  }

  // MARK: Helpers

  private func bits(_ text: String) throws -> [UInt64] {
    try text.split(separator: " ").map { try #require(UInt64($0, radix: 16)) }
  }

  /// Functions on elements that are given and answered as bits.
  private func applied(_ functions: [ElementFunction], _ dtype: DType, _ input: [UInt64]) -> [UInt64] {
    var bytes = input.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0.prefix(dtype.size)) } }
    bytes.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      for function in functions { Kernels.apply(function, dtype, counts: [input.count], strides: [1], base) }
    }
    return values(bytes, size: dtype.size)
  }

  private func elements(
    of key: String, _ source: any TensorSource, _ functions: [ElementFunction] = []
  ) throws -> [UInt64] {
    guard case .tensor(let descriptor) = source.tree[key] else { throw Missing(key: key) }
    let original = SymbolicTensor(source: key, dtype: descriptor.dtype, shape: descriptor.shape)
    let tensor = functions.reduce(original) { $0.mapped($1) }
    let lowered = LoweredTensor(tensor.expression, dtype: tensor.dtype, descriptors: [key: descriptor])
    var bytes: [UInt8] = []
    let tile = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 64)
    defer { tile.deallocate() }
    let box = TileEvaluator.Box(lower: tensor.shape.map { _ in 0 }, count: tensor.shape)
    try TileEvaluator(source: source, scratchBytes: 1 << 20).produce(lowered, box, tile: tile, dtype: tensor.dtype) {
      (part, _) throws(ConversionError) in bytes += part
    }
    return values(bytes, size: tensor.dtype.size)
  }

  private struct Missing: Error { let key: String }

  private func values(_ bytes: [UInt8], size: Int) -> [UInt64] {
    stride(from: 0, to: bytes.count, by: size).map { start in
      bytes[start..<start + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  /// Positions at which the bits differ; any NaN equals any NaN.
  private func differences(_ found: [UInt64], _ expected: [UInt64], _ dtype: DType) -> [Int] {
    let largest: UInt64 =
      switch dtype {
      case .float64: 0x7FF0_0000_0000_0000
      case .float32: 0x7F80_0000
      case .float16: 0x7C00
      case .bfloat16: 0x7F80
      case .float8E5M2: 0x7C
      default: 0x7E
      }
    let magnitude = UInt64.max >> (65 - 8 * UInt64(dtype.size))
    guard found.count == expected.count else { return [-1] }
    return found.indices.filter {
      found[$0] != expected[$0] && !(found[$0] & magnitude > largest && expected[$0] & magnitude > largest)
    }
  }
}
