import Synchronization

/// Fills the storages of a sink as a plan says, on several threads, within a byte budget.
///
/// Every output offset is known before the first byte is written, so threads take pieces of work in file order and never
/// wait for each other. A tensor that is a contiguous copy goes from file to file inside the kernel; every other tensor is
/// computed tile by tile.
///
/// Memory: at most `Budget.bytes` in buffers, whatever the checkpoint.
struct Executor {
  /// How much memory and how many threads.
  struct Budget: Sendable {
    /// Bytes of all buffers together.
    var bytes: Int
    /// Threads.
    var threads: Int

    /// Bytes of one tile: each thread holds a tile and a scratch of twice its size.
    var tileBytes: Int { min(max(bytes / (max(threads, 1) * 3), 64 << 10), Budget.largestTile) }

    /// Larger tiles gain nothing: the runs that are read are long enough.
    static let largestTile = 32 << 20
  }

  let source: any TensorSource
  let budget: Budget
  let monitor: any ConversionMonitor

  /// One storage of the output and what it is made from.
  struct Job: Sendable {
    let tensor: SymbolicTensor
    let lowered: LoweredTensor
    /// Output tensors that this storage completes.
    let tensorCount: Int
  }

  /// Bytes per piece of a copy inside the kernel: large enough to cost few calls, small enough to stop soon.
  static let copyPiece = 64 << 20

  /// A piece of work: a byte range of one storage.
  private struct Piece: Sendable {
    let job: Int
    let start: Int
    let count: Int
    let box: TileEvaluator.Box?
  }

  /// Fills all storages and finishes the sink. Throws what reading and writing throw, or `.cancelled`.
  func run(_ jobs: [Job], into sink: any TensorSink) throws(ConversionError) {
    let (pieces, firsts) = divide(jobs)
    let progress = Progress(
      jobs: jobs, pieces: pieces.map(\.job), bytesTotal: jobs.reduce(0) { $0 + $1.tensor.byteCount }, monitor: monitor)
    let checksums = Mutex([UInt32](repeating: 0, count: sink.needsChecksums ? pieces.count : 0))
    let next = Atomic<Int>(0)
    let failure = Mutex<ConversionError?>(nil)

    WorkerThreads.run(count: min(budget.threads, max(pieces.count, 1))) {
      let evaluator = TileEvaluator(source: source, scratchBytes: 2 * budget.tileBytes)
      let tile = UnsafeMutableRawBufferPointer.allocate(byteCount: budget.tileBytes, alignment: 64)
      defer { tile.deallocate() }
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < pieces.count, failure.withLock({ $0 == nil }) else { return }
        do throws(ConversionError) {
          if monitor.isCancelled { throw ConversionError(.cancelled, "The conversion was cancelled.") }
          let piece = pieces[index]
          let checksum = try fill(piece, jobs[piece.job], sink, evaluator, tile)
          if sink.needsChecksums { checksums.withLock { $0[index] = checksum } }
          progress.completed(piece.job, bytes: piece.count)
        } catch {
          failure.withLock { if $0 == nil { $0 = error } }
          return
        }
      }
    }

    if let error = failure.withLock({ $0 }) { throw error }
    var storageChecksums: [UInt32] = []
    if sink.needsChecksums {
      let parts = checksums.withLock { $0 }
      for (first, end) in zip(firsts, firsts.dropFirst() + [pieces.count]) {
        storageChecksums.append(
          (first..<end).reduce(0) { Checksum.combine($0, parts[$1], secondLength: pieces[$1].count) })
      }
    }
    try sink.finish(checksums: storageChecksums)
  }

  /// All pieces in file order, and the position of the first piece of each job.
  private func divide(_ jobs: [Job]) -> (pieces: [Piece], firsts: [Int]) {
    var pieces: [Piece] = []
    var firsts: [Int] = []
    for (index, job) in jobs.enumerated() {
      firsts.append(pieces.count)
      let total = job.tensor.byteCount
      if extent(of: job) != nil {
        for start in stride(from: 0, to: total, by: Self.copyPiece) {
          pieces.append(Piece(job: index, start: start, count: min(Self.copyPiece, total - start), box: nil))
        }
      } else {
        let size = job.tensor.dtype.size
        var start = 0
        Tiling.forEachTile(of: job.tensor.shape, elements: max(budget.tileBytes / size, 1)) { box in
          let count = box.count.reduce(size, *)
          pieces.append(Piece(job: index, start: start, count: count, box: box))
          start += count
        }
      }
    }
    return (pieces, firsts)
  }

  /// Where the bytes of a job already lie verbatim in a file.
  private func extent(of job: Job) -> FileExtent? {
    guard case .view(let view) = job.lowered, TensorShape.isContiguous(view.shape, strides: view.strides),
      let extent = source.storages[view.storage.index].extent
    else { return nil }
    return FileExtent(
      file: extent.file, offset: extent.offset + view.offset * view.elementSize, length: job.tensor.byteCount)
  }

  /// Writes one piece; returns its CRC-32 when the sink needs it.
  private func fill(
    _ piece: Piece, _ job: Job, _ sink: any TensorSink, _ evaluator: TileEvaluator,
    _ tile: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> UInt32 {
    let target = sink.offsets[piece.job] + piece.start
    guard let box = piece.box else {
      guard let extent = extent(of: job) else { return 0 }
      return try copy(piece, job, extent, sink, target, tile)
    }
    var checksum: UInt32 = 0
    try evaluator.produce(job.lowered, box, tile: tile, elementSize: job.tensor.dtype.size) {
      (bytes, position) throws(ConversionError) in
      if sink.needsChecksums { checksum = Checksum.crc32(bytes, continuing: checksum) }
      try sink.file.write(bytes, at: target + position)
    }
    return checksum
  }

  private func copy(
    _ piece: Piece, _ job: Job, _ extent: FileExtent, _ sink: any TensorSink, _ target: Int,
    _ tile: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> UInt32 {
    let known = knownChecksum(job, piece)
    if !sink.needsChecksums || known != nil {
      try FileCopy.copy(extent, from: piece.start, count: piece.count, to: sink.file, at: target, buffer: tile)
      return known ?? 0
    }
    var checksum: UInt32 = 0
    var done = 0
    while done < piece.count {
      let bytes = UnsafeMutableRawBufferPointer(rebasing: tile[..<min(tile.count, piece.count - done)])
      try extent.file.read(at: extent.offset + piece.start + done, into: bytes)
      try sink.file.write(UnsafeRawBufferPointer(bytes), at: target + done)
      checksum = Checksum.crc32(UnsafeRawBufferPointer(bytes), continuing: checksum)
      done += bytes.count
    }
    return checksum
  }

  /// The CRC-32 that the source's directory states for exactly these bytes.
  private func knownChecksum(_ job: Job, _ piece: Piece) -> UInt32? {
    guard case .view(let view) = job.lowered else { return nil }
    let storage = source.storages[view.storage.index]
    guard view.offset == 0, piece.start == 0, piece.count == storage.byteCount else { return nil }
    return storage.crc32
  }
}
