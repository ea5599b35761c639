import Synchronization
import Testing

@testable import Core

/// Bytes in memory that count how often and how much they are asked for.
final class CountingBytes: RandomAccessBytes {
  let bytes: [UInt8]
  private let counts = Mutex((requests: 0, bytes: 0))

  init(count: Int) { bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var size: Int { bytes.count }
  var sha256: String? { nil }
  var requests: Int { counts.withLock { $0.requests } }
  var bytesRead: Int { counts.withLock { $0.bytes } }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    counts.withLock {
      $0.requests += 1
      $0.bytes += buffer.count
    }
    buffer.copyBytes(from: bytes[offset..<offset + buffer.count])
  }
}

@Suite("Block cache")
struct BlockCacheTests {
  @Test("Every range is right, whatever was read before")
  func ranges() throws {
    let source = CountingBytes(count: 3 * BlockCache.blockSize + 77)
    let file = InputFile(path: "x", bytes: source)
    var generator = SeededGenerator(state: 5)
    for _ in 0..<300 {
      let start = Int.random(in: 0..<source.size, using: &generator)
      let count = Int.random(in: 0...min(70_000, source.size - start), using: &generator)
      #expect(try file.bytes(at: start, count: count) == Array(source.bytes[start..<start + count]))
    }
    #expect(source.requests <= 4)
    #expect(throws: ConversionError.self) { try file.bytes(at: source.size - 1, count: 2) }
  }

  @Test("Missing neighbours are one request, long reads go past, and old blocks go")
  func requests() throws {
    let size = BlockCache.blockSize
    let source = CountingBytes(count: size * (BlockCache.capacity + 40))
    let file = InputFile(path: "x", bytes: source)
    _ = try file.bytes(at: 10, count: 3 * size)
    #expect(source.requests == 1)
    _ = try file.bytes(at: 0, count: 4 * size)
    #expect(source.requests == 1)
    _ = try file.bytes(at: 0, count: 20 * size)
    #expect(source.requests == 2)
    #expect(source.bytesRead == 24 * size)
    for block in 4..<BlockCache.capacity + 5 { _ = try file.bytes(at: block * size, count: 1) }
    let before = source.requests
    _ = try file.bytes(at: 0, count: 1)
    #expect(source.requests == before + 1)
  }
}
