import Synchronization

/// A few blocks of bytes that are expensive to ask for, so that the many small reads of a header cost few requests.
///
/// A read that is longer than the largest run goes past the cache. Neighbouring blocks that are missing are asked for
/// together. Memory: `capacity` blocks. Safe from several threads; two that miss the same block may both ask for it.
final class BlockCache: Sendable {
  private struct State {
    var blocks: [Int: [UInt8]] = [:]
    /// Least recently used first.
    var order: [Int] = []
  }

  let source: any RandomAccessBytes
  private let state = Mutex(State())

  /// Bytes of a block: most headers of a shard fit one, and a link with 50 ms of latency moves as much in no time.
  static let blockSize = 32 << 10
  /// Blocks that are kept: 2 MiB.
  static let capacity = 64
  /// Longer reads, in blocks, are not kept: tensors would push the headers out.
  private static let longestRun = 16
  /// A read of at most so many bytes is kept wherever it begins.
  static let longestKept = (longestRun - 1) * blockSize

  init(_ source: any RandomAccessBytes) { self.source = source }

  /// Fills the buffer from an absolute offset. Precondition: the range lies inside. Throws what the source throws.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    guard !buffer.isEmpty else { return }
    let (first, last) = (offset / Self.blockSize, (offset + buffer.count - 1) / Self.blockSize)
    guard last - first < Self.longestRun else { return try source.read(at: offset, into: buffer) }
    var found: [Int: [UInt8]] = [:]
    state.withLock { state in
      for block in first...last {
        guard let bytes = state.blocks[block] else { continue }
        found[block] = bytes
        state.order.removeAll { $0 == block }
        state.order.append(block)
      }
    }
    var block = first
    while block <= last {
      var end = block
      while end <= last, found[end] == nil { end += 1 }
      if end > block { found.merge(try load(block..<end)) { first, _ in first } }
      block = end + 1
    }
    for block in first...last {
      guard let bytes = found[block] else { continue }
      let start = max(offset, block * Self.blockSize)
      let end = min(offset + buffer.count, block * Self.blockSize + bytes.count)
      bytes.withUnsafeBytes { source in
        let part = source[start - block * Self.blockSize..<end - block * Self.blockSize]
        UnsafeMutableRawBufferPointer(rebasing: buffer[(start - offset)..<(end - offset)])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
      }
    }
  }

  /// Asks for a run of blocks and keeps them.
  private func load(_ run: Range<Int>) throws(ConversionError) -> [Int: [UInt8]] {
    let start = run.lowerBound * Self.blockSize
    var bytes = [UInt8](repeating: 0, count: min(run.count * Self.blockSize, source.size - start))
    let result = bytes.withUnsafeMutableBytes { buffer in
      Result { () throws(ConversionError) in try source.read(at: start, into: buffer) }
    }
    try result.get()
    var loaded: [Int: [UInt8]] = [:]
    for block in run {
      let offset = block * Self.blockSize - start
      loaded[block] = Array(bytes[offset..<min(offset + Self.blockSize, bytes.count)])
    }
    state.withLock { state in
      for (block, bytes) in loaded where state.blocks.updateValue(bytes, forKey: block) == nil {
        state.order.append(block)
      }
      while state.order.count > Self.capacity { state.blocks[state.order.removeFirst()] = nil }
    }
    return loaded
  }
}
