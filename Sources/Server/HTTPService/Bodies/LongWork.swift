import NIOPosix

/// Work that takes longer than a request may keep a thread of the cooperative pool, of which there is one a core.
enum LongWork {
  /// Bytes that are parsed or hashed within a millisecond or so.
  static let least = 64 << 10

  /// Runs work on so many bytes: at once when they are few, else on the blocking pool.
  static func run<Value: Sendable>(
    on bytes: Int, _ work: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    bytes <= least ? try work() : try await NIOThreadPool.singleton.runIfActive(work)
  }
}
