import Logging
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Addresses and access control")
struct ExposureTests {
  @Test(
    "Loopback",
    arguments: [
      ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("localhost", true), ("LOCALHOST", true),
      ("0.0.0.0", false), ("::", false), ("192.168.1.1", false), ("localhost.example.org", false), ("128.0.0.1", false),
    ])
  func loopback(_ host: String, _ isLoopback: Bool) { #expect(Exposure.isLoopback(host) == isLoopback) }

  @Test("A public address without tokens is refused unless asked for; what holds is said loudly")
  func check() throws {
    for (flags, hasTokens, isRefused, message) in [
      (["host": "127.0.0.1"], false, false, "NO ACCESS CONTROL"), (["host": "0.0.0.0"], false, true, ""),
      (["host": "0.0.0.0", "allow-anonymous": "true"], false, false, "NO ACCESS CONTROL"),
      (["host": "0.0.0.0"], true, false, "are required"),
      (["host": "0.0.0.0", "require-tokens": "true"], false, false, "none exists"),
    ] {
      let lines = LogLines()
      let logger = Logger(label: "test") { _ in lines.handler(level: .info) }
      let settings = try Settings(flags: flags, environment: [:])
      let result = Result { () throws(Exposure.Refused) in
        try Exposure.check(settings, hasTokens: hasTokens, logger: logger)
      }
      if case .failure = result {
        #expect(isRefused, "\(flags)")
      } else {
        #expect(!isRefused, "\(flags)")
        #expect(lines.text.contains(message), "\(flags)")
      }
    }
    #expect(throws: Exposure.Refused.self) { _ = try ServiceHarness { $0.host = "0.0.0.0" } }
  }
}
