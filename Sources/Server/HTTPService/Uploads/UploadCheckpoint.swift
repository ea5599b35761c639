/// When what arrived of an upload is put on the disk: every 64 MiB, and every five seconds as long as something arrives.
struct UploadCheckpoint {
  private var size: Int
  private var time = ContinuousClock.now

  private static let bytes = 64 << 20
  private static let interval: Duration = .seconds(5)

  /// Begins with a file of `size` bytes.
  init(at size: Int = 0) { self.size = size }

  /// True when a file that has `size` bytes now has gone on for long enough.
  func isDue(at size: Int) -> Bool { size - self.size >= Self.bytes || .now - time > Self.interval }

  /// The file is on the disk with `size` bytes.
  mutating func reached(_ size: Int) {
    self.size = size
    time = .now
  }
}
