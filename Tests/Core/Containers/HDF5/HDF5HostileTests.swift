import Foundation
import Testing

@testable import Core

/// Damaged and hostile files: each ends in a `ConversionError`, quickly, and nothing it names is opened or run.
struct HDF5HostileTests {
  @Test(
    .enabled(if: CheckpointListing.folder != nil),
    arguments: [
      ("h5-bad-offsets.mdl", "damaged"), ("h5-dill-spec.mdl", "posix.system"),
      ("h5-external-link.mdl", "external link"),
      ("h5-external-storage.mdl", "__spec__"), ("h5-huge-dataset.mdl", "__spec__"), ("h5-lz4-lies.mdl", "__spec__"),
      ("h5-object-bytes.mdl", "posix.system"), ("h5-soft-link-loop.mdl", "soft link"),
      ("h5-truncated.mdl", "truncated"),
    ])
  func refusesSample(_ name: String, naming part: String) throws {
    let folder = try #require(CheckpointListing.folder)
    let start = ContinuousClock.now
    let error = try #require(throws: ConversionError.self) {
      try HDF5Reader(file: InputFile(path: "\(folder)/hostile/\(name)"))
    }
    #expect(error.kind == .hostileInput || error.kind == .unreadableInput)
    #expect(error.message.contains(name) && error.message.contains(part), "\(error.message)")
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  /// The samples whose specification is empty never come to their bad dataset; here a sound specification leads to it.
  @Test(
    .enabled(if: CheckpointListing.folder != nil),
    arguments: [
      ("h5-external-storage.mdl", "model.w", "another file"), ("h5-huge-dataset.mdl", "w", "claims"),
      ("h5-lz4-lies.mdl", "w", "decode"),
    ])
  func refusesDataset(_ sample: String, _ name: String, naming part: String) throws {
    let folder = try #require(CheckpointListing.folder)
    let input = try InputFile(path: "\(folder)/hostile/\(sample)")
    let error = try #require(throws: ConversionError.self) {
      let contents = try HDF5Contents(file: HDF5File(input: input, limits: .standard), chunkCacheBytes: 0)
      let found = try #require(try contents.dataset(name))
      let tensor = try contents.tensor(found.dataset, at: found.address, name: name, declared: nil)
      var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
      try bytes.withUnsafeMutableBytes { try contents.storages[0].read(input, at: 0, into: $0) }
    }
    #expect(error.kind == .hostileInput)
    #expect(error.message.contains(part), "\(error.message)")
  }

  /// Cuts a file short at every length, then damages it at random for a while.
  @Test func mutationsEndInErrors() throws {
    let folder = try TemporaryFolder()
    var seeds = [try Self.ownSample(folder)]
    if let shared = CheckpointListing.folder {
      for name in ["cs05-objects", "cs05-tied", "cs05-dtypes", "legacy04-types", "legacy04-object", "legacy01-flags"] {
        let file = try InputFile(path: "\(shared)/samples/\(name).mdl")
        seeds.append(try file.bytes(at: 0, count: file.size))
      }
    }
    var generator = SeededGenerator(state: 11)
    var tried = 0
    var refused = 0
    let end = ContinuousClock.now + .seconds(8)
    while ContinuousClock.now < end {
      var bytes = seeds[tried % seeds.count]
      Self.damage(&bytes, using: &generator)
      let path = try folder.write(bytes, as: "damaged.mdl")
      do throws(ConversionError) {
        let reader = try HDF5Reader(file: try InputFile(path: path), limits: Self.narrow)
        try Self.readAll(reader)
      } catch {
        refused += 1
        #expect([.hostileInput, .unreadableInput].contains(error.kind), "\(error)")
      }
      tried += 1
    }
    #expect(refused > 0 && tried > 20, "\(refused) of \(tried)")
  }

  /// Small bounds, so that a mutation that makes a tensor large is refused and not read.
  private static var narrow: Limits {
    var limits = Limits()
    limits.elements = 1 << 20
    limits.hdf5UnstoredBytes = 1 << 20
    limits.hdf5ChunkBytes = 1 << 20
    return limits
  }

  private static func readAll(_ reader: HDF5Reader) throws(ConversionError) {
    for (index, storage) in reader.storages.enumerated() {
      var failure: ConversionError?
      var bytes = [UInt8](repeating: 0, count: storage.byteCount)
      bytes.withUnsafeMutableBytes { buffer in
        do throws(ConversionError) { try reader.read(StorageID(index), at: 0, into: buffer) } catch { failure = error }
      }
      if let failure { throw failure }
    }
  }

  private static func damage(_ bytes: inout [UInt8], using generator: inout SeededGenerator) {
    if Int.random(in: 0..<20, using: &generator) == 0 {
      bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
      return
    }
    // Structures are spotted by what is not zero; most of a small file is padding.
    let places = bytes.indices.filter { bytes[$0] != 0 }
    for _ in 0...Int.random(in: 0..<8, using: &generator) {
      let place = places.randomElement(using: &generator) ?? 0
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: bytes[place] = 0xFF
      case 1: bytes[place] = 0
      case 2: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 3: for offset in place..<min(place + 8, bytes.count) { bytes[offset] = 0xFF }
      default: bytes[place] = .random(in: 0...255, using: &generator)
      }
    }
  }

  private static func ownSample(_ folder: TemporaryFolder) throws -> [UInt8] {
    let tree = ObjectTree<OutputTensor>.dictionary(
      [
        .init(.string("w"), .tensor(OutputTensor(dtype: .float32, shape: [2, 3], storage: 0))),
        .init(.string("g/v"), .tensor(OutputTensor(dtype: .bfloat16, shape: [], storage: 1))),
        .init(.string("o"), .opaque(.complex(1, 2))), .init(.string("s"), .list([.string("x"), .int(1)])),
      ], ordered: false)
    try HDF5RoundTripTests.write(tree, storages: [24, 2], to: folder.file("own.mdl"))
    let file = try InputFile(path: folder.file("own.mdl"))
    return try file.bytes(at: 0, count: file.size)
  }
}
