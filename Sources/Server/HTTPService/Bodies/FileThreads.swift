import NIOPosix

/// The threads that move the bytes of uploads and downloads to and from the disk, and remove files.
///
/// Apart from the pool that libraries share, which has as many threads as there are cores: a few slow disks or long syncs
/// would hold up health checks, name lookups and each other.
enum FileThreads {
  /// Threads wait for the disk and not for a core. More than so many requests at once are slowed down by the disk anyway.
  private static let count = 32

  private static let pool: NIOThreadPool = {
    let pool = NIOThreadPool(numberOfThreads: count)
    // Lives as long as the process.
    pool.start()
    return pool
  }()

  /// Removes files. Also for a task that was cancelled, in which `run` does nothing.
  static func clear(_ work: @escaping @Sendable () -> Void) async {
    await Task { try? await pool.runIfActive(work) }.value
  }

  /// Runs work that blocks. Throws what it throws.
  static func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await pool.runIfActive(work)
  }
}
