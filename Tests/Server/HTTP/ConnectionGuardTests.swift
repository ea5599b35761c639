import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import Server

/// What happens on the wire, with a client that writes raw bytes.
@Suite("Connections")
struct ConnectionGuardTests {
  private static let start = "Host: x\r\n"

  @Test("100 Continue comes at once, then the answer, and the connection stays")
  func continues() async throws {
    try await ServiceHarness().test(.live) { client in
      try await client.talk { wire in
        wire.send("PUT /v1/uploads/x HTTP/1.1\r\n\(Self.start)Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        #expect(wire.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
        wire.send("abc")
        let answer = wire.read(until: "}\n")
        #expect(answer.hasPrefix("HTTP/1.1 201 Created\r\n"))
        #expect(!answer.lowercased().contains("connection: close"))
        wire.send("GET /healthz HTTP/1.1\r\n\(Self.start)\r\n")
        #expect(wire.read(until: "}\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
      }
    }
  }

  @Test("A body that is too large is refused before it is sent")
  func refusesEarly() async throws {
    try await ServiceHarness { $0.maximumUpload = 10 }.test(.live) { client in
      try await client.talk { wire in
        wire.send("PUT /v1/uploads/x HTTP/1.1\r\n\(Self.start)Content-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        let answer = wire.read()
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
        #expect(answer.lowercased().contains("connection: close\r\n"))
      }
    }
  }

  @Test("An answer before the end of the body closes the connection, and a request hidden in the body is not run")
  func closesEarly() async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      try await client.talk { wire in
        wire.send("POST /v1/models HTTP/1.1\r\n\(Self.start)Content-Length: 100000\r\n\r\n")
        #expect(wire.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 405 "))
        wire.send("PUT /v1/uploads/hidden HTTP/1.1\r\n\(Self.start)Content-Length: 1\r\n\r\nx")
        #expect(!wire.read().contains("201 Created"))
      }
    }
    #expect(try harness.files("uploads").isEmpty)
  }

  @Test(
    "Malformed and ambiguous requests are answered 400 and closed",
    arguments: [
      "PUT /v1/uploads/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "PUT /v1/uploads/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
      "PUT /v1/uploads/x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
      "GET /healthz\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "x", count: 100_000))\r\n\r\n",
      "PUT /v1/uploads/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
  func malformed(_ request: String) async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      try await client.talk { wire in
        wire.send(request)
        let answer = wire.read()
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400 ") || answer.hasPrefix("HTTP/1.1 431 "), "\(answer)")
      }
      #expect(try await client.send(.get, "/healthz").status == .ok)
    }
    #expect(try harness.files("uploads").isEmpty)
  }

  @Test("A client that goes away in the middle of an upload leaves nothing")
  func goesAway() async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      try await client.talk { wire in
        wire.send("PUT /v1/uploads/x HTTP/1.1\r\n\(Self.start)Content-Length: 100\r\n\r\nabc")
        Thread.sleep(forTimeInterval: 0.2)
      }
      #expect(try await eventually { try harness.files("incoming").isEmpty })
      #expect(try harness.files("uploads").isEmpty)
    }
  }

  @Test("A body that trickles is dropped in bounded time while others are served")
  func trickle() async throws {
    let limits = ConnectionGuard.Limits(body: 1000, minimumRate: 1000, window: .milliseconds(300))
    try await ServiceHarness().test(.live, guardLimits: limits) { client in
      try await client.talk { wire in
        let start = ContinuousClock.now
        wire.send("PUT /v1/uploads/x HTTP/1.1\r\n\(Self.start)Content-Length: 1000\r\n\r\n")
        for _ in 0..<20 {
          wire.send("x")
          Thread.sleep(forTimeInterval: 0.1)
        }
        #expect(!wire.read().contains("201 Created"))
        #expect(ContinuousClock.now - start < .seconds(4))
      }
      #expect(try await client.send(.get, "/healthz").status == .ok)
    }
  }
}
