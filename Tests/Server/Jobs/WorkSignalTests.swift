import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Work signal")
struct WorkSignalTests {
  @Test("A wait ends with its time")
  func timeout() {
    let signal = WorkSignal()
    for time in [Duration.zero, .seconds(-1), .milliseconds(50), .milliseconds(999)] {
      let start = ContinuousClock.now
      signal.wait(after: signal.current, atMost: time)
      let waited = ContinuousClock.now - start
      #expect(waited >= time && waited < time + .seconds(30))
    }
  }

  @Test("A wait ends with a notification, also one that came before it, and with the stop")
  func notification() {
    let signal = WorkSignal()
    let start = ContinuousClock.now
    let seen = signal.current
    signal.notify()
    signal.wait(after: seen, atMost: .seconds(60))
    for wake in [{ signal.notify() }, { signal.stop() }] as [@Sendable () -> Void] {
      let seen = signal.current
      Thread.detachNewThread {
        Thread.sleep(forTimeInterval: 0.05)
        wake()
      }
      signal.wait(after: seen, atMost: .seconds(60))
    }
    #expect(signal.hasStopped)
    signal.wait(after: signal.current, atMost: .seconds(60))
    #expect(ContinuousClock.now - start < .seconds(50))
  }
}
