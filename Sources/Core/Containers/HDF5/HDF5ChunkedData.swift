import Synchronization

/// The bytes of a chunked dataset as one row-major run, decoded chunk by chunk as they are asked for.
///
/// Safe to use from several threads. One chunk is decoded at a time in each thread; decoded chunks stay in a shared
/// cache, so neighbouring reads of a wide matrix do not decode a chunk again.
struct HDF5ChunkedData: Sendable {
  /// Lets one thread at a time decode a large chunk of a file, so that the memory for it is needed once.
  final class Turn: Sendable {
    private let mutex = Mutex(())

    /// Chunks of at most so many bytes are decoded by all threads at once.
    static let small = 4 << 20

    func run<Value>(
      for byteCount: Int, _ body: () throws(ConversionError) -> Value
    ) throws(ConversionError) -> Value {
      guard byteCount > Self.small else { return try body() }
      var result: Result<Value, ConversionError>?
      mutex.withLock { _ in
        do throws(ConversionError) { result = .success(try body()) } catch { result = .failure(error) }
      }
      guard let result else { preconditionFailure("a lock runs its body") }
      return try result.get()
    }
  }

  /// Names a decoded chunk in the cache: dataset and position in the grid of chunks.
  struct ChunkKey: Hashable, Sendable {
    let storage: Int
    let coordinates: [Int]
  }

  /// What was read of the dataset.
  struct Description: Sendable {
    let name: String
    let storage: Int
    let shape: [Int]
    let chunk: [Int]
    let elementSize: Int
    let bigEndian: Bool
    let filters: [HDF5Filter]
    /// The bytes of one element of a chunk that was never written, as stored; empty for zero.
    let fill: [UInt8]
  }

  private let file: HDF5File
  private let turn: Turn
  private let description: Description
  private let index: HDF5ChunkIndex?
  private let cache: HDF5Cache<ChunkKey, [UInt8]>
  /// Shapes in bytes along the last axis, so that any byte range can be read.
  private let extent: [Int]
  private let chunkExtent: [Int]
  /// Bytes between neighbours along each axis, in the tensor and in a chunk.
  private let strides: [Int]
  private let chunkStrides: [Int]

  /// Preconditions: the rank is at least 1, every chunk dimension is positive, and the products fit `Int`.
  init(
    file: HDF5File, turn: Turn, description: Description, index: HDF5ChunkIndex?, cache: HDF5Cache<ChunkKey, [UInt8]>
  ) {
    self.file = file
    self.turn = turn
    self.description = description
    self.index = index
    self.cache = cache
    var extent = description.shape
    var chunkExtent = description.chunk
    extent[extent.count - 1] *= description.elementSize
    chunkExtent[chunkExtent.count - 1] *= description.elementSize
    self.extent = extent
    self.chunkExtent = chunkExtent
    strides = TensorShape.contiguousStrides(extent)
    chunkStrides = TensorShape.contiguousStrides(chunkExtent)
  }

  /// Fills `buffer` with the bytes from `offset` on. Precondition: the range lies inside the tensor.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    try read(axis: 0, prefix: [], range: offset..<offset + buffer.count, origin: offset, into: buffer)
  }

  /// Splits a range of the block below one axis into boxes: what completes a first index, whole indices, and what
  /// begins a last index. Within a box every chunk is visited once.
  ///
  /// `range` counts bytes from the start of the tensor.
  private func read(
    axis: Int, prefix: [Int], range: Range<Int>, origin: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    guard !range.isEmpty else { return }
    let stride = strides[axis]
    let blockStart = zip(prefix, strides).reduce(0) { $0 + $1.0 * $1.1 }
    let lower = range.lowerBound - blockStart
    let upper = range.upperBound - blockStart
    func inside(_ index: Int, _ from: Int, _ to: Int) throws(ConversionError) {
      try read(
        axis: axis + 1, prefix: prefix + [index], range: blockStart + from..<blockStart + to, origin: origin,
        into: buffer)
    }
    var first = lower / stride
    let end = upper / stride
    if lower % stride != 0 {
      let stop = min((first + 1) * stride, upper)
      try inside(first, lower, stop)
      first += 1
    }
    if first < end {
      let inner = extent[(axis + 1)...]
      let box = prefix.map { $0..<$0 + 1 } + [first..<end] + inner.map { 0..<$0 }
      try copy(box, origin: origin, into: buffer)
    }
    if upper % stride != 0, first <= end { try inside(end, end * stride, upper) }
  }

  /// Copies a box of the tensor, in units of `extent`, to its place in the buffer.
  private func copy(
    _ box: [Range<Int>], origin: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    // Walk over the grid of chunks that the box touches.
    let grid = zip(box, chunkExtent).map { $0.lowerBound / $1..<($0.upperBound - 1) / $1 + 1 }
    var position = grid.map(\.lowerBound)
    while true {
      let part = box.indices.map { axis in
        let start = position[axis] * chunkExtent[axis]
        return max(box[axis].lowerBound, start)..<min(box[axis].upperBound, start + chunkExtent[axis])
      }
      // A large chunk is held until it was copied, as it may not fit the cache.
      try turn.run(for: chunkExtent[0] * chunkStrides[0]) { () throws(ConversionError) in
        copy(part, of: try decodedChunk(at: position), at: position, origin: origin, into: buffer)
      }
      guard Self.advance(&position, within: grid) else { return }
    }
  }

  /// Copies the part of a box that lies in one chunk, run by run along the last axis.
  private func copy(
    _ part: [Range<Int>], of chunk: [UInt8], at grid: [Int], origin: Int,
    into buffer: UnsafeMutableRawBufferPointer
  ) {
    let run = part[part.count - 1].count
    let last = part[part.count - 1].lowerBound
    let rows = Array(part.dropLast()) + [last..<last + 1]
    var row = part.map(\.lowerBound)
    chunk.withUnsafeBytes { source in
      repeat {
        var from = 0
        var to = -origin
        for axis in row.indices {
          from += (row[axis] - grid[axis] * chunkExtent[axis]) * chunkStrides[axis]
          to += row[axis] * strides[axis]
        }
        UnsafeMutableRawBufferPointer(rebasing: buffer[to..<to + run])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[from..<from + run]))
      } while Self.advance(&row, within: rows)
    }
  }

  /// The next position in row-major order; false after the last.
  private static func advance(_ position: inout [Int], within bounds: [Range<Int>]) -> Bool {
    for axis in position.indices.reversed() {
      position[axis] += 1
      if position[axis] < bounds[axis].upperBound { return true }
      position[axis] = bounds[axis].lowerBound
    }
    return false
  }

  /// The bytes of a chunk, little-endian, by its position in the grid.
  private func decodedChunk(at position: [Int]) throws(ConversionError) -> [UInt8] {
    let key = ChunkKey(storage: description.storage, coordinates: position)
    if let bytes = cache[key] { return bytes }
    let byteCount = chunkExtent[0] * chunkStrides[0]
    let coordinates = zip(position, description.chunk).map { $0 * $1 }
    var bytes: [UInt8]
    if let index, let chunk = try index.chunk(at: coordinates) {
      bytes = try decode(chunk, byteCount: byteCount)
    } else {
      bytes = HDF5Storage.repeating(description.fill, count: byteCount)
    }
    if description.bigEndian { HDF5Storage.swapBytes(&bytes, elementSize: description.elementSize) }
    cache.insert(bytes, for: key, cost: byteCount)
    return bytes
  }

  private func decode(_ chunk: HDF5ChunkIndex.Chunk, byteCount: Int) throws(ConversionError) -> [UInt8] {
    // No filter known here grows its input by more than a sixteenth; this bounds what is read for one chunk.
    guard chunk.byteCount <= byteCount + byteCount / 16 + 65_536,
      chunk.address <= file.input.size - chunk.byteCount
    else { throw damagedChunk }
    var bytes = try file.input.bytes(at: chunk.address, count: chunk.byteCount)
    for (position, filter) in description.filters.enumerated().reversed() where chunk.filterMask >> position & 1 == 0 {
      guard let decoded = filter.decode(bytes, byteCount: byteCount) else { throw damagedChunk }
      bytes = decoded
    }
    guard bytes.count == byteCount else { throw damagedChunk }
    return bytes
  }

  private var damagedChunk: ConversionError {
    file.damaged("a compressed chunk of \(description.name) does not decode to its stated size")
  }
}
