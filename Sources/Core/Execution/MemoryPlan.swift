/// How the memory of a conversion is divided among its buffers. Every size comes from here, so that they add up.
///
/// `bytes` covers tiles, the cache of decoded chunks and the buffers that fill spools. Names and values of the inputs
/// have an allowance beside it; what they take beyond that, the buffers go without.
struct MemoryPlan: Sendable, Hashable {
  /// Bytes of all buffers together.
  let bytes: Int
  /// Threads that compute and write.
  let threads: Int
  /// True when the source decodes chunks and keeps some of them.
  var keepsChunks = false
  /// True when the source is elsewhere, and tensors that are not read in one go pass through spools.
  var spools = false
  /// Bytes that names and values take beyond their allowance.
  var excess = 0

  /// A plan for a local source without chunks. At least one thread is planned for.
  init(bytes: Int, threads: Int) {
    self.bytes = bytes
    self.threads = max(threads, 1)
  }

  /// Bytes that a source may keep of decoded chunks: a row of chunks of the widest matrix in use fits 32 MiB.
  ///
  /// It depends on the budget alone, because the source is opened before anything else is known.
  var cacheBytes: Int { min(bytes / 4, 32 << 20) }

  /// Spools that are read at the same time at most: one by each thread, and one that is being checked.
  var spoolReaders: Int { threads + 1 }

  /// Bytes of one piece on its way into a spool: each thread may hold one beside its tile and scratch.
  var spoolPieceBytes: Int { min(max(available / (threads * 4), 64 << 10), 16 << 20) }

  /// What is left for tiles.
  var tiles: Executor.Budget {
    let others = (spools ? threads * spoolPieceBytes : 0) + (keepsChunks ? cacheBytes : 0)
    return Executor.Budget(bytes: available - others, threads: threads)
  }

  /// Bytes that the process takes at most, estimated: buffers, a kilobyte for each of so many names, and the program.
  func peak(names: Int) -> Int {
    let buffers = threads * (3 * tiles.tileBytes + (spools ? spoolPieceBytes : 0)) + (keepsChunks ? cacheBytes : 0)
    return [buffers, names.multipliedReportingOverflow(by: 1 << 10).partialValue, 32 << 20].saturatingSum()
  }

  /// A few megabytes are left to the buffers whatever the names take: without them nothing goes on.
  private var available: Int { max(bytes - excess, min(bytes, 8 << 20)) }
}
