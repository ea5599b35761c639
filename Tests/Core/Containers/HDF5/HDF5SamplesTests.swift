import OrderedCollections
import Testing

@testable import Core

/// Real checkpoints, read and compared value by value with what the tool that wrote them holds.
@Suite(.enabled(if: CheckpointListing.folder != nil))
struct HDF5SamplesTests {
  @Test(arguments: [
    "cs05-chunked", "cs05-dtypes", "cs05-full-tensor", "cs05-many", "cs05-objects", "cs05-scalars",
    "cs05-shared-storage", "cs05-tied", "cs05-training", "cs09-future", "ext-src", "legacy01-flags",
    "legacy02-flags-only", "legacy02-stored-tensor-type", "legacy03-types", "legacy04-deferred-types",
    "legacy04-object", "legacy04-types",
  ])
  func matchesListing(_ name: String) throws {
    let listing = try CheckpointListing(name + ".mdl")
    let reader = try HDF5Reader(file: InputFile(path: listing.path))
    #expect(!listing.entries.isEmpty)
    try listing.expectMatch(reader)
  }

  @Test(arguments: [
    ("cs05-key-clash.mdl", "a.b"), ("cs05-missing-dataset.mdl", "model.other"), ("cs05-partial.mdl", "__SUCCESS__"),
    ("not-a-checkpoint.h5", "__spec__"), ("cs05-external-link.mdl", "ext-src.mdl"),
    ("cs05-safetensor-reference.mdl", "st-src.safetensors"),
  ])
  func refuses(_ sample: String, naming part: String) throws {
    let listing = try CheckpointListing(sample)
    let error = try #require(throws: ConversionError.self) { try HDF5Reader(file: InputFile(path: listing.path)) }
    #expect(error.kind == .unreadableInput)
    #expect(error.message.contains(part), "\(error.message)")
    #expect(error.message.contains(sample), "\(error.message)")
  }

  @Test func tiedTensorsShareOneStorage() throws {
    let listing = try CheckpointListing("cs05-tied.mdl")
    let reader = try HDF5Reader(file: InputFile(path: listing.path))
    let model = try #require(reader.tree["model"])
    #expect(model["embed"] == model["lm_head"])
    #expect(model["embed"] == model["lm_head2"])
    #expect(reader.storages.count == 2)
  }

  @Test func keepsOrderAndKindOfContainers() throws {
    let listing = try CheckpointListing("cs05-objects.mdl")
    let reader = try HDF5Reader(file: InputFile(path: listing.path))
    guard case .dictionary(let entries, ordered: false) = reader.tree,
      case .dictionary(let inner, ordered: true)? = reader.tree["od"]
    else {
      Issue.record("wrong containers")
      return
    }
    #expect(
      entries.map(\.key) == [
        .string("od"), .string("set"), .string("complex"), .string("np32"), .string("dtype"), .string("bytes"),
        .string("np"), .int(3), .string("a/b"), .string("é"),
      ])
    #expect(inner.map(\.key) == [.string("b"), .string("a")])
  }

  /// Every way to cut a chunked tensor into two reads, and unaligned pieces, give the same bytes.
  @Test(arguments: [("big", 480_000), ("noise", 39_000)])
  func readsAnyRangeOfChunkedData(_ key: String, _ byteCount: Int) throws {
    let listing = try CheckpointListing("cs05-chunked.mdl")
    let reader = try HDF5Reader(file: InputFile(path: listing.path), chunkCacheBytes: 64 << 10)
    guard case .tensor(let tensor)? = reader.tree["model"]?[key] else {
      Issue.record("no tensor")
      return
    }
    let whole = try reader.bytes(tensor)
    #expect(whole.count == byteCount)
    #expect(reader.storages[tensor.storage.index].extent == nil)
    var generator = SeededGenerator(state: 7)
    for _ in 0..<200 {
      let start = Int.random(in: 0..<byteCount, using: &generator)
      let count = Int.random(in: 0...min(5000, byteCount - start), using: &generator)
      var piece = [UInt8](repeating: 0, count: count)
      try piece.withUnsafeMutableBytes { try reader.read(tensor.storage, at: start, into: $0) }
      #expect(piece.elementsEqual(whole[start..<start + count]))
    }
  }
}

/// A small generator with a seed, so that a failure can be repeated (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
