import Foundation
import HTTPTypes
import HummingbirdTesting
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// A service without tokens on loopback, and pages that somebody on the machine opens.
@Suite("Local access")
struct LocalAccessTests {
  private static let start = "GET /v1/models HTTP/1.1\r\n"

  /// Header fields of a request, and whether they may come from this machine's programs.
  private static let requests: [(String, Bool)] = [
    ("Host: localhost\r\n", true), ("Host: LOCALHOST:8080\r\n", true), ("Host: 127.0.0.1:80\r\n", true),
    ("Host: 127.1.2.3\r\n", true), ("Host: [::1]:8080\r\n", true),
    ("Host: localhost:1\r\nOrigin: http://localhost:1\r\nSec-Fetch-Site: same-origin\r\n", true),
    ("Host: rebound.example\r\n", false), ("Host: localhost.example:80\r\n", false), ("Host: 10.0.0.1\r\n", false),
    ("Host: 0.0.0.0\r\n", false), ("Host: \r\n", false), ("Host: [::2]\r\n", false),
    ("Host: localhost\r\nOrigin: https://page.example\r\n", false), ("Host: localhost\r\nOrigin: null\r\n", false),
    ("Host: localhost:1\r\nOrigin: http://localhost:2\r\n", false),
    ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", false),
  ]

  @Test("What a page of another origin may have sent is refused")
  func refusesPages() async throws {
    try await ServiceHarness().test(.live) { client in
      for (fields, isLocal) in Self.requests {
        try await client.talk { wire in
          wire.send("\(Self.start)\(fields)\r\n")
          let answer = wire.read(until: "}\n")
          #expect(answer.hasPrefix(isLocal ? "HTTP/1.1 200 " : "HTTP/1.1 403 "), "\(fields) \(answer)")
        }
      }
    }
  }

  /// Targets and `Host` fields, and the status of the answer.
  private static let targets: [(String, String, Int)] = [
    ("http://localhost:8080/v1/models", "rebound.example", 200), ("HTTP://127.0.0.1/v1/models", "x", 200),
    ("http://rebound.example/v1/models", "localhost", 403), ("http://10.0.0.1:80/v1/models?limit=1", "localhost", 403),
    ("http://localhost/healthz?x", "localhost", 200), ("http://localhost?x", "localhost", 200),
    ("http://user@localhost/v1/models", "localhost", 400),
    ("http:///v1/models", "localhost", 400), ("ftp://localhost/v1/models", "localhost", 400),
    ("v1/models", "localhost", 400), ("localhost:80", "localhost", 400),
  ]

  @Test("A target in absolute form names the host, whatever the Host field says")
  func absoluteForm() async throws {
    try await ServiceHarness().test(.live) { client in
      for (target, host, status) in Self.targets {
        try await client.talk { wire in
          wire.send("GET \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
          let answer = wire.read()
          #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(target) \(host): \(answer.prefix(300))")
        }
      }
    }
  }

  @Test("With a token, or by the wish of the operator, every name will do")
  func elsewhere() async throws {
    let fields = "Host: zooport.example\r\nOrigin: https://page.example\r\n"
    try await ServiceHarness { $0.allowsAnonymous = true }.test(.live) { client in
      try await client.talk { wire in
        wire.send("\(Self.start)\(fields)\r\n")
        #expect(wire.read(until: "}\n").hasPrefix("HTTP/1.1 200 "))
      }
    }
    let harness = try ServiceHarness()
    let token = try harness.token("ann")
    try await harness.test(.live) { client in
      try await client.talk { wire in
        wire.send("\(Self.start)\(fields)Authorization: \(token)\r\n\r\n")
        #expect(wire.read(until: "}\n").hasPrefix("HTTP/1.1 200 "))
      }
    }
  }
}
