import Hummingbird
import NIOCore

extension OpenFile {
  /// Sends a range of the file as fast as the client takes it, read on the blocking pool.
  ///
  /// `sent` is told of the bytes that were handed to the connection, as they go. Memory: two pieces of at most 1 MiB.
  /// Throws `Errno.ioError` when the file ends first, and what the connection throws.
  func send(_ range: Range<Int>, to writer: inout any ResponseBodyWriter, sent: (Int) -> Void) async throws {
    var piece = PieceSize()
    var offset = range.lowerBound
    while offset < range.upperBound {
      let start = offset
      let count = min(piece.bytes, range.upperBound - start)
      let buffer = try await FileThreads.run { try self.read(at: start, count: count) }
      offset += buffer.readableBytes
      let clock = ContinuousClock.now
      try await writer.write(buffer)
      piece.adapt(to: ContinuousClock.now - clock)
      sent(buffer.readableBytes)
    }
  }
}

/// How many bytes are handed to a connection at once: few, so that a slow client shows progress (`ConnectionGuard`), and
/// more as long as the client takes them at once, because each piece costs two changes of the thread.
struct PieceSize {
  private(set) var bytes = Self.least

  static let least = 64 << 10
  static let most = 1 << 20
  /// A piece that takes longer is halved the next time.
  private static let slow: Duration = .milliseconds(50)
  private static let fast: Duration = .milliseconds(10)

  /// Takes note of how long the client took for the last piece.
  mutating func adapt(to time: Duration) {
    if time < Self.fast {
      bytes = min(bytes * 2, Self.most)
    } else if time > Self.slow {
      bytes = max(bytes / 2, Self.least)
    }
  }
}
