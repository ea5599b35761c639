import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Jumps of the clock")
struct ClockWatchTests {
  private let wall = Timestamp(milliseconds: 1_000_000_000)
  private let steady = ContinuousClock.now

  @Test("A clock that was set is noticed once, forwards and backwards; one that drifts is not")
  func jumps() {
    for (drift, jump) in [(0, nil), (170, nil), (-170, nil), (200, 200), (-7200, -7200), (86_400, 86_400)]
      as [(Int, Int?)]
    {
      var watch = ClockWatch(at: wall, steady)
      let later = steady + .seconds(600)
      let seen = watch.jump(at: wall.advanced(by: .seconds(600 + drift)), later)
      #expect(seen == jump.map { Duration.seconds($0) }, "\(drift)")
      let next = watch.jump(at: wall.advanced(by: .seconds(1200 + drift)), later + .seconds(600))
      #expect(next == nil, "the new time is the time from now on")
    }
  }
}
