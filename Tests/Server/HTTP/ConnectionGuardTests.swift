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

  @Test("100 Continue comes when the body is wanted, then the answer, and the connection stays")
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

  /// A request that announces a body and waits, and how it is refused before a byte of it.
  struct Refusal: Sendable, CustomTestStringConvertible {
    let line: String
    let headers: String
    let status: Int
    var testDescription: String { "\(line) \(status)" }

    init(_ line: String, _ headers: String, _ status: Int) {
      self.line = line
      self.headers = headers
      self.status = status
    }

    static let json = "Content-Type: application/json\r\n"
    static let form = "Content-Type: multipart/form-data; boundary=b\r\n"
    static let tus = "Tus-Resumable: 1.0.0\r\n"
  }

  @Test(
    "What is refused whatever its body says is refused before the body is sent",
    arguments: [
      Refusal("PUT /v1/uploads/x", "Content-Length: 1000001\r\n", 413),
      Refusal("POST /v1/uploads", "\(Refusal.tus)Upload-Length: 1000001\r\nContent-Length: 1\r\n", 413),
      Refusal("POST /v1/jobs", "\(Refusal.json)Content-Length: 99000000\r\n", 413),
      Refusal("POST /v1/plans", "\(Refusal.json)Content-Length: 99000000\r\n", 413),
      Refusal("PUT /v1/elsewhere", "Content-Length: 1\r\n", 404),
      Refusal("PATCH /v1/uploads/0", "\(Refusal.tus)Content-Length: 1\r\n", 415),
      Refusal("PUT /v1/jobs", "Content-Length: 1\r\n", 405),
      Refusal("PUT /v1/uploads/%2e%2e", "Content-Length: 1\r\n", 422),
      Refusal("POST /v1/jobs", "Content-Type: text/plain\r\nContent-Length: 1\r\n", 415),
    ])
  func refusesEarly(_ refusal: Refusal) async throws {
    try await expect([refusal], from: ServiceHarness { $0.maximumUpload = 1_000_000 })
  }

  @Test("Nobody sends a body to learn that the token is wrong")
  func refusesStrangersEarly() async throws {
    let harness = try ServiceHarness { $0.requiresTokens = true }
    let reader = try harness.token("reader", [.read])
    let headers = "Authorization: \(reader)\r\nContent-Length: 1\r\n"
    let strangers = ["PUT /v1/uploads/x", "POST /v1/jobs", "POST /v1/plans", "POST /v1/uploads"].map {
      Refusal($0, "Content-Length: 1\r\n", 401)
    }
    let readers = [Refusal("PUT /v1/uploads/x", headers, 403), Refusal("POST /v1/jobs", Refusal.form + headers, 403)]
    try await expect(strangers + readers, from: harness)
  }

  @Test(
    "Nobody sends a body to learn that the disk is full",
    arguments: [
      Refusal("PUT /v1/uploads/x", "Content-Length: 1\r\n", 507),
      Refusal("POST /v1/jobs", "\(Refusal.form)Content-Length: 1\r\n", 507),
      Refusal("POST /v1/uploads", "\(Refusal.tus)Upload-Length: 1\r\nContent-Length: 1\r\n", 507),
    ])
  func refusesEarlyOnAFullDisk(_ refusal: Refusal) async throws {
    try await expect([refusal], from: ServiceHarness { $0.diskFloor = .max })
  }

  /// The refusal is the first thing that the client reads, and the last.
  private func expect(_ refusals: [Refusal], from harness: ServiceHarness) async throws {
    try await harness.test(.live) { client in
      for refusal in refusals {
        try await client.talk { wire in
          wire.send("\(refusal.line) HTTP/1.1\r\n\(Self.start)\(refusal.headers)Expect: 100-continue\r\n\r\n")
          let answer = wire.read()
          #expect(answer.hasPrefix("HTTP/1.1 \(refusal.status) "), "\(answer)")
          #expect(answer.lowercased().contains("connection: close\r\n"))
          #expect(!answer.contains("100 Continue"))
        }
      }
    }
  }

  @Test("A client that does not wait, one of HTTP/1.0 and a request without a body hear no 100 Continue")
  func continuesOnlyForWhoWaits() async throws {
    try await ServiceHarness().test(.live) { client in
      try await client.talk { wire in
        let put = "PUT /v1/uploads/x HTTP/1.1\r\n\(Self.start)Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        // The second waits while the first, which did not, is answered: its 100 comes after that answer.
        wire.send("\(put)abc\(put)")
        let first = wire.read(until: "}\n")
        #expect(first.contains("HTTP/1.1 201 Created\r\n"))
        #expect(first.contains("100 Continue") ? first.hasPrefix("HTTP/1.1 100 ") : true)
        #expect(wire.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
        wire.send("abc")
        #expect(wire.read(until: "}\n").hasPrefix("HTTP/1.1 201 Created\r\n"))
        wire.send("GET /healthz HTTP/1.1\r\n\(Self.start)Expect: 100-continue\r\n\r\n")
        #expect(wire.read(until: "}\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
      }
      try await client.talk { wire in
        wire.send("PUT /v1/uploads/x HTTP/1.0\r\n\(Self.start)Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        Thread.sleep(forTimeInterval: 0.2)
        wire.send("abc")
        #expect(wire.read().hasPrefix("HTTP/1.1 201 Created\r\n"))
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
    let limits = ConnectionGuard.Limits(minimumRate: 1000, window: .milliseconds(300))
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
