import API

/// Notices when the wall clock was set, by looking at it beside a clock that nobody sets.
struct ClockWatch {
  private var wall: Timestamp
  private var steady: ContinuousClock.Instant

  /// What clocks may drift apart, or be corrected by, from one look to the next.
  private static let tolerance: Duration = .seconds(180)

  /// Takes the first look.
  init(at wall: Timestamp = .now, _ steady: ContinuousClock.Instant = .now) {
    self.wall = wall
    self.steady = steady
  }

  /// By how much the wall clock was set since the last look, forwards or backwards; nil when it was not. Looks again.
  mutating func jump(at wall: Timestamp, _ steady: ContinuousClock.Instant) -> Duration? {
    let jump = .milliseconds(wall.milliseconds - self.wall.milliseconds) - (steady - self.steady)
    (self.wall, self.steady) = (wall, steady)
    return (.zero - Self.tolerance...Self.tolerance).contains(jump) ? nil : jump
  }
}
