import Foundation
import Testing

@testable import Core

private let python = ProcessInfo.processInfo.environment["ZOOPORT_PYTHON"]

@Suite struct FloatCastTests {
  static let targets: [DType] = [.float32, .float16, .bfloat16]

  private func cast(_ source: [UInt8], _ from: DType, _ to: DType) -> (bytes: [UInt8], overflows: Int) {
    let count = source.count / from.size
    var target = [UInt8](repeating: 0, count: count * to.size)
    let overflows = source.withUnsafeBytes { source in
      target.withUnsafeMutableBytes { target in
        guard let source = source.baseAddress, let target = target.baseAddress else { return 0 }
        return FloatCast.convert(source, from, to: target, to, count: count, stride: 1)
      }
    }
    return (target, overflows)
  }

  private func half(_ values: [Float]) -> [UInt16] {
    cast(values.flatMap { withUnsafeBytes(of: $0, Array.init) }, .float32, .float16).bytes.elements()
  }

  /// By the definition of the format: ties, the largest number, subnormals.
  @Test func roundsFloat16AsDefined() {
    #expect(
      half([1, -2, 65504, 65519.996, 65520, 1e9, -.infinity, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-14, -0.0])
        == [0x3C00, 0xC000, 0x7BFF, 0x7BFF, 0x7C00, 0x7C00, 0xFC00, 1, 0, 1, 0x0400, 0x8000])
    // Half way between two neighbours the even one is taken; beyond half way the nearer one.
    #expect(half([1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1.002p-11]) == [0x3C00, 0x3C02, 0x3C01])
    #expect(half([.nan]).allSatisfy { $0 & 0x7FFF > 0x7C00 })
  }

  @Test func roundsBFloat16AsDefined() {
    let values: [Float] = [1, 1 + 0x1p-8, 1 + 0x3p-8, .greatestFiniteMagnitude, -.infinity, 0x1p-133, 0x1p-134]
    let (bytes, overflows) = cast(values.flatMap { withUnsafeBytes(of: $0, Array.init) }, .float32, .bfloat16)
    #expect(bytes.elements() as [UInt16] == [0x3F80, 0x3F80, 0x3F82, 0x7F80, 0xFF80, 1, 0])
    #expect(overflows == 1)
  }

  @Test func countsFiniteValuesThatBecomeInfinite() {
    let values: [Double] = [1e39, -1e39, .infinity, .nan, 70_000, 1]
    let bytes = values.flatMap { withUnsafeBytes(of: $0, Array.init) }
    #expect(cast(bytes, .float64, .float32).overflows == 2)
    #expect(cast(bytes, .float64, .float16).overflows == 3)
    #expect(cast(bytes, .float64, .bfloat16).overflows == 2)
  }

  /// Every pattern of the small types, and of the large ones those that are hard: neighbours of every float16 and
  /// bfloat16, of every half way point between them, and random ones.
  @Test(.enabled(if: python != nil), arguments: DType.allCases.filter(\.isFloatingPoint), targets)
  func equalsTorch(from: DType, to: DType) throws {
    let source: [UInt8]
    var random = SystemRandomNumberGenerator()
    switch from {
    case .float16, .bfloat16: source = (0...UInt16.max).flatMap { withUnsafeBytes(of: $0, Array.init) }
    case .float64:
      let doubles = Self.hardFloats.filter { $0.bitPattern % 5 == 0 }.flatMap {
        [Double($0), Double($0).nextUp, Double($0).nextDown]
      }
      let others = (0..<100_000).map { _ in Double(bitPattern: random.next()) }
      source = [UInt8](Data((doubles + others).withUnsafeBytes { Data($0) }))
    case .float32:
      let others = (0..<200_000).map { _ in Float(bitPattern: random.next()) }
      source = [UInt8](Data((Self.hardFloats + others).withUnsafeBytes { Data($0) }))
    default: source = Array(0...255)
    }
    let expected = try torch(source, from, to)
    let (found, _) = cast(source, from, to)
    #expect(found.count == expected.count)
    let wrong = differences(found, expected, to)
    #expect(wrong.isEmpty, "\(wrong.count) of \(source.count / from.size), first at \(wrong.first ?? 0)")
  }

  /// Each 16-bit pattern as the upper half of a float32, and each float16, with what lies between and beside them.
  private static let hardFloats: [Float] = (0...UInt16.max).flatMap { bits -> [Float] in
    let brain = UInt32(bits) << 16
    let half = Float(Float16(bitPattern: bits)).bitPattern
    return [
      brain, brain | 0x7FFF, brain | 0x8000, brain | 0x8001, half, half &+ 1, half &- 1, half &+ 0xFFF, half &+ 0x1000,
      half &+ 0x1001,
    ].map(Float.init(bitPattern:))
  }

  private func torch(_ source: [UInt8], _ from: DType, _ to: DType) throws -> [UInt8] {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(filePath: try #require(python))
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Interop/cast_floats.py")
    process.arguments = [script.path, from.rawValue, to.rawValue]
    process.standardInput = try FileHandle(forReadingFrom: URL(filePath: folder.write(source, as: "source")))
    let output = URL(filePath: try folder.write([], as: "target"))
    process.standardOutput = try FileHandle(forWritingTo: output)
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return [UInt8](try Data(contentsOf: output))
  }

  /// Positions at which the bits differ; any NaN equals any NaN.
  private func differences(_ first: [UInt8], _ second: [UInt8], _ type: DType) -> [Int] {
    func positions<Bits: FixedWidthInteger>(_: Bits.Type, _ infinity: Bits) -> [Int] {
      let (first, second): ([Bits], [Bits]) = (first.elements(), second.elements())
      let magnitude = ~(1 << (Bits.bitWidth - 1)) as Bits
      return first.indices.filter {
        first[$0] != second[$0] && !(first[$0] & magnitude > infinity && second[$0] & magnitude > infinity)
      }
    }
    return switch type {
    case .float32: positions(UInt32.self, 0x7F80_0000)
    case .float16: positions(UInt16.self, 0x7C00)
    default: positions(UInt16.self, 0x7F80)
    }
  }
}

extension [UInt8] {
  /// The bytes as little-endian integers.
  fileprivate func elements<Bits: FixedWidthInteger>() -> [Bits] {
    withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: MemoryLayout<Bits>.size).map {
        bytes.loadUnaligned(fromByteOffset: $0, as: Bits.self)
      }
    }
  }
}
