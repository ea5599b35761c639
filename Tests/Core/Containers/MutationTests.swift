import Foundation
import Testing

@testable import Core

/// Thousands of damaged files: each opens or is refused with a `ConversionError`; none crashes, hangs or reads outside.
@Suite struct MutationTests {
  /// A small generator, so that a failure can be repeated.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var value = state
      value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
      return value ^ (value >> 31)
    }
  }

  @Test(arguments: [ContainerKind.torchZip, .safetensors], [UInt64(1), 2])
  func damagedFilesAreRefused(kind: ContainerKind, seed: UInt64) throws {
    let folder = try TemporaryFolder()
    let sample = Sample.flat([("a.weight", .float32, [2, 3]), ("b", .int64, []), ("c", .bool, [0])])
    if kind == .safetensors {
      try sample.write(with: SafetensorsWriter.self, to: folder.file("good"))
    } else {
      try sample.write(with: TorchZipWriter.self, to: folder.file("good"))
    }
    let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.file("good"))))
    try damage(good, in: folder, seed: seed, rounds: 500)
  }

  @Test(arguments: [UInt64(3), 4]) func damagedLegacyStreamsAreRefused(seed: UInt64) throws {
    try damage(LegacyStream.bytes(), in: try TemporaryFolder(), seed: seed, rounds: 500)
  }

  /// The pickle alone, so that no checksum guards it.
  @Test(arguments: [UInt64(5), 6]) func damagedPicklesAreRefused(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    var generator = Generator(state: seed)
    let good = LegacyStream.bytes()
    for _ in 0..<500 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        bytes[Int.random(in: LegacyStream.object, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      try open(bytes, in: folder)
    }
  }

  private func damage(_ good: [UInt8], in folder: TemporaryFolder, seed: UInt64, rounds: Int) throws {
    var generator = Generator(state: seed)
    for _ in 0..<rounds {
      var bytes = good
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
      case 1:
        let at = Int.random(in: 0..<bytes.count, using: &generator)
        bytes.insert(contentsOf: (0..<9).map { _ in UInt8.random(in: 0...255, using: &generator) }, at: at)
      case 2:
        let at = Int.random(in: 0..<bytes.count, using: &generator)
        for index in at..<min(at + 8, bytes.count) {
          bytes[index] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &generator) ?? 0
        }
      default:
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
        }
      }
      try open(bytes, in: folder)
    }
  }

  /// Opens the bytes as a file, and as one that is elsewhere, whose parts are found when they are read. When that works,
  /// reads every tensor.
  private func open(_ bytes: [UInt8], in folder: TemporaryFolder) throws {
    var files = InputFiles()
    files.bring(InputFile(path: "elsewhere", bytes: MemoryBytes(bytes)), as: "elsewhere")
    for path in [try folder.write(bytes, as: "damaged"), "elsewhere"] {
      do {
        let source = try Checkpoint.open(path: path, files: files)
        var tensors: [TensorDescriptor] = []
        source.tree.forEachLeaf { _, leaf in if case .tensor(let tensor) = leaf { tensors.append(tensor) } }
        for tensor in tensors where tensor.elementCount < 10_000 { _ = try source.elements(tensor) }
      } catch is ConversionError {
        // Refused, as it should be.
      }
    }
  }
}
