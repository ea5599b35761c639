import Synchronization

/// Fills the storages of sinks as a plan says, on several threads, within a byte budget.
///
/// Every output offset is known before the first byte is written, so threads take pieces of work in file order and never
/// wait for each other. A tensor that is a contiguous copy goes from file to file as it is, inside the kernel where that
/// moves no bytes; every other tensor is computed tile by tile.
///
/// Memory: at most `Budget.bytes` in buffers, whatever the checkpoint.
struct Executor {
  /// How much memory and how many threads.
  struct Budget: Sendable {
    /// Bytes of all buffers together.
    var bytes: Int
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
    /// The key of the first output tensor that it is written for.
    let key: String
    let tensor: SymbolicTensor
    let lowered: LoweredTensor
    /// The sink and the place of the storage among its storages.
    let sink: Int
    let storage: Int
    /// Output tensors that this storage completes.
    let tensorCount: Int
  }

  /// Bytes per piece of a copy inside the kernel: large enough to cost few calls, small enough to stop soon.
  static let copyPiece = 64 << 20

  private struct Piece: Sendable {
    enum Work: Sendable {
      /// Bytes that go over as they are.
      case copy
      /// Elements that are computed.
      case compute(TileEvaluator.Box)
      /// Bytes of a source's storage that are compared with its checksum, not written.
      case check(StorageID)
    }

    let job: Int
    let start: Int
    let count: Int
    let work: Work
  }

  /// All pieces in file order, and which of them make up what.
  private struct Pieces {
    var all: [Piece] = []
    /// The pieces that write each job's storage.
    var writes: [Range<Int>] = []
    /// The pieces that check each storage of the source that states a checksum and is used.
    var checks: [(storage: StorageID, pieces: Range<Int>)] = []
    /// The pieces that read the whole of a storage that states a checksum, in one go: the sum is taken on the way.
    var readWhole: [Int: StorageID] = [:]
  }

  /// Fills all storages and finishes the sinks, which are of one type. Throws what reading and writing throw,
  /// `.unreadableInput` when a storage does not match the checksum that the source states, or `.cancelled`.
  ///
  /// A storage is checked while it is read for a tensor, or else right after it was used, while the kernel still has it
  /// in memory: the disk is read once.
  ///
  /// Returns for each job how many finite values became infinite in a smaller precision.
  @discardableResult
  func run(_ jobs: [Job], into sinks: [any TensorSink]) throws(ConversionError) -> [Int] {
    let division = try divide(jobs, into: sinks)
    let pieces = division.all
    let progress = Progress(
      jobs: jobs, pieces: pieces.map(\.job), bytesTotal: jobs.reduce(0) { $0 + $1.tensor.byteCount },
      monitor: monitor)
    let checksums = Mutex([UInt32](repeating: 0, count: pieces.count))
    let overflows = Mutex([Int](repeating: 0, count: jobs.count))
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
          if monitor.isCancelled { throw ConversionError.cancelled }
          let piece = pieces[index]
          let job = jobs[piece.job]
          let checksum = try perform(piece, job, sinks[job.sink], evaluator, tile)
          checksums.withLock { $0[index] = checksum }
          if case .compute = piece.work, let storage = division.readWhole[index] {
            guard try evaluator.takeChecksum(of: storage) == source.storages[storage.index].crc32 else {
              throw damaged(storage, usedBy: job)
            }
          }
          let infinite = evaluator.takeOverflows()
          if infinite > 0 { overflows.withLock { $0[piece.job] += infinite } }
          if case .check = piece.work {
            progress.completed(piece.job, bytes: 0)
          } else {
            progress.completed(piece.job, bytes: piece.count)
          }
        } catch {
          failure.withLock { if $0 == nil { $0 = error } }
          return
        }
      }
    }

    if let error = failure.withLock({ $0 }) { throw error }
    let parts = checksums.withLock { $0 }
    func combined(_ range: Range<Int>) -> UInt32 {
      range.reduce(0) { Checksum.combine($0, parts[$1], secondLength: pieces[$1].count) }
    }
    for (storage, range) in division.checks where combined(range) != source.storages[storage.index].crc32 {
      throw damaged(storage, usedBy: jobs[pieces[range.lowerBound].job])
    }
    var storageChecksums = sinks.map { [UInt32](repeating: 0, count: $0.needsChecksums ? $0.offsets.count : 0) }
    for (job, range) in zip(jobs, division.writes) where sinks[job.sink].needsChecksums {
      storageChecksums[job.sink][job.storage] = combined(range)
    }
    for (sink, checksums) in zip(sinks, storageChecksums) { try sink.finish(checksums: checksums) }
    return overflows.withLock { $0 }
  }

  private func damaged(_ storage: StorageID, usedBy job: Job) -> ConversionError {
    let path = source.storages[storage.index].extent?.file.path ?? "The checkpoint"
    return ConversionError(
      .unreadableInput,
      "\(path): the bytes that '\(job.key)' is made from do not match their checksum; fetch the file again")
  }

  private func divide(_ jobs: [Job], into sinks: [any TensorSink]) throws(ConversionError) -> Pieces {
    let byReference = sinks.map { FileCopy.isByReference(into: $0.file) }
    var pieces = Pieces()
    var checked: Set<StorageID> = []
    var pacer = Interruption.Pacer()
    for (index, job) in jobs.enumerated() {
      try pacer.step()
      let first = pieces.all.count
      let total = job.tensor.byteCount
      if extent(of: job) != nil {
        for start in stride(from: 0, to: total, by: Self.copyPiece) {
          pieces.all.append(Piece(job: index, start: start, count: min(Self.copyPiece, total - start), work: .copy))
        }
      } else {
        let size = job.tensor.dtype.size
        var start = 0
        Tiling.forEachTile(of: job.tensor.shape, elements: max(budget.tileBytes / size, 1)) { box in
          let count = box.count.reduce(size, *)
          pieces.all.append(Piece(job: index, start: start, count: count, work: .compute(box)))
          start += count
        }
      }
      pieces.writes.append(first..<pieces.all.count)
      job.lowered.forEachStorage { storage in
        guard source.storages[storage.index].crc32 != nil, checked.insert(storage).inserted else { return }
        if let piece = wholeRead(job, pieces.all, pieces.writes[index]) {
          pieces.readWhole[piece] = storage
          return
        }
        if !byReference[job.sink], copiesWhole(job, storage), total > 0 {
          pieces.checks.append((storage, pieces.writes[index]))
          return
        }
        let first = pieces.all.count
        let total = source.storages[storage.index].byteCount
        for start in stride(from: 0, to: total, by: Self.copyPiece) {
          let count = min(Self.copyPiece, total - start)
          pieces.all.append(Piece(job: index, start: start, count: count, work: .check(storage)))
        }
        // An empty storage has nothing that could be damaged.
        if total > 0 { pieces.checks.append((storage, first..<pieces.all.count)) }
      }
    }
    return pieces
  }

  /// The one piece of a job that computes a tensor from every element of one storage, if there is such a piece.
  private func wholeRead(_ job: Job, _ pieces: [Piece], _ range: Range<Int>) -> Int? {
    guard range.count == 1, case .compute = pieces[range.lowerBound].work, let view = job.lowered.mappedView?.view,
      view.offset == 0, job.tensor.byteCount == source.storages[view.storage.index].byteCount,
      zip(view.shape, view.strides).reduce(1, { $0 + ($1.0 - 1) * $1.1 }) * view.elementSize == job.tensor.byteCount
    else { return nil }
    return range.lowerBound
  }

  /// True when a job is the copy of all bytes of a storage.
  private func copiesWhole(_ job: Job, _ storage: StorageID) -> Bool {
    guard case .view(let view) = job.lowered, view.offset == 0, extent(of: job) != nil else { return false }
    return job.tensor.byteCount == source.storages[storage.index].byteCount
  }

  /// Where the bytes of a job already lie verbatim in a file.
  private func extent(of job: Job) -> FileExtent? {
    guard case .view(let view) = job.lowered, TensorShape.isContiguous(view.shape, strides: view.strides),
      let extent = source.storages[view.storage.index].extent
    else { return nil }
    return FileExtent(
      file: extent.file, offset: extent.offset + view.offset * view.elementSize, length: job.tensor.byteCount)
  }

  /// Does one piece. Returns the CRC-32 of its bytes where somebody needs it.
  private func perform(
    _ piece: Piece, _ job: Job, _ sink: any TensorSink, _ evaluator: TileEvaluator,
    _ tile: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> UInt32 {
    let target = sink.offsets[job.storage] + piece.start
    switch piece.work {
    case .check(let storage): return try evaluator.checksum(of: piece.start..<piece.start + piece.count, in: storage)
    case .copy:
      guard let extent = extent(of: job) else { return 0 }
      return try copy(piece, job, extent, sink, target, tile)
    case .compute(let box):
      var checksum: UInt32 = 0
      try evaluator.produce(job.lowered, box, tile: tile, dtype: job.tensor.dtype) {
        (bytes, position) throws(ConversionError) in
        if sink.needsChecksums { checksum = Checksum.crc32(bytes, continuing: checksum) }
        try sink.file.write(bytes, at: target + position)
      }
      return checksum
    }
  }

  private func copy(
    _ piece: Piece, _ job: Job, _ extent: FileExtent, _ sink: any TensorSink, _ target: Int,
    _ tile: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> UInt32 {
    let known = knownChecksum(job, piece)
    let taken =
      sink.needsChecksums && known == nil
      ? 0 : try FileCopy.copyByReference(extent, from: piece.start, count: piece.count, to: sink.file, at: target)
    var done = taken
    let isSummed = sink.needsChecksums || statesChecksum(job)
    let part = min(tile.count, TileEvaluator.hotBytes)
    var checksum: UInt32 = 0
    while done < piece.count {
      let bytes = UnsafeMutableRawBufferPointer(rebasing: tile[..<min(part, piece.count - done)])
      try extent.file.read(at: extent.offset + piece.start + done, into: bytes)
      try sink.file.write(UnsafeRawBufferPointer(bytes), at: target + done)
      if isSummed { checksum = Checksum.crc32(UnsafeRawBufferPointer(bytes), continuing: checksum) }
      done += bytes.count
    }
    // What the kernel took is not summed here: `divide` has it checked by pieces of its own.
    return taken > 0 ? known ?? 0 : checksum
  }

  private func statesChecksum(_ job: Job) -> Bool {
    guard case .view(let view) = job.lowered else { return false }
    return source.storages[view.storage.index].crc32 != nil
  }

  /// The CRC-32 that the source's directory states for exactly these bytes.
  private func knownChecksum(_ job: Job, _ piece: Piece) -> UInt32? {
    guard case .view(let view) = job.lowered else { return nil }
    let storage = source.storages[view.storage.index]
    guard view.offset == 0, piece.start == 0, piece.count == storage.byteCount else { return nil }
    return storage.crc32
  }
}
