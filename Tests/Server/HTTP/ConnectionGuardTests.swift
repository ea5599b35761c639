import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// What happens on the wire, with a client that writes raw bytes.
@Suite("Connections")
struct ConnectionGuardTests {
  private static let start = "Host: localhost\r\n"

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
      "PUT /v1/uploads/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "PUT /v1/uploads/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
      "PUT /v1/uploads/x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
      "GET /healthz\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "x", count: 100_000))\r\n\r\n",
      "PUT /v1/uploads/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
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

  @Test("A wish for another protocol is ignored, wherever the next request begins; CONNECT is refused")
  func ignoresUpgrades() async throws {
    let wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    try await ServiceHarness().test(.live) { client in
      try await client.talk { wire in
        let get = "GET /healthz HTTP/1.1\r\n\(Self.start)"
        let put = "PUT /v1/uploads/x HTTP/1.1\r\n\(Self.start)\(wish)Content-Length: 3\r\n\r\nabc"
        wire.send("\(get)\(wish)\r\n\(put)\(get)\(wish)\r\n\(get)")
        Thread.sleep(forTimeInterval: 0.3)
        wire.send("\r\nCONNECT localhost:80 HTTP/1.1\r\n\(Self.start)\r\n\(put)")
        let answer = wire.read()
        let statuses = answer.split(separator: "HTTP/1.1 ").map { String($0.prefix(3)) }
        #expect(statuses == ["200", "201", "200", "200", "400"], "\(answer)")
      }
    }
  }

  @Test(
    "The connection ends when the client says so, however it spells it, and with HTTP/1.0",
    arguments: [
      ("1.1", "Connection: close\r\n"), ("1.1", "Connection: Close\r\n"), ("1.1", "Connection: TE, close\r\n"),
      ("1.0", ""), ("1.0", "Connection: keep-alive\r\n"),
    ])
  func endsAsAsked(_ version: String, _ field: String) async throws {
    try await ServiceHarness().test(.live) { client in
      try await client.talk { wire in
        let get = "GET /healthz HTTP/\(version)\r\n\(Self.start)\(field)\r\n"
        let start = ContinuousClock.now
        wire.send(get + get)
        let answer = wire.read()
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.lowercased().contains("connection: close\r\n"))
        #expect(answer.split(separator: "HTTP/1.1 ").count == 1, "\(answer)")
        #expect(ContinuousClock.now - start < .seconds(4))
      }
    }
  }

  @Test("A client of HTTP/1.0 gets a stream without chunks, ended by the connection")
  func streamsToOldClients() async throws {
    try await ServiceHarness().test(.live) { client in
      let url = try await client.start("quick")
      try await client.wait(url, for: "succeeded")
      try await client.talk { wire in
        wire.send("GET \(url)/events HTTP/1.0\r\n\(Self.start)\r\n")
        let answer = wire.read()
        #expect(answer.hasPrefix("HTTP/1.0 200 OK\r\n"))
        #expect(!answer.lowercased().contains("transfer-encoding"))
        #expect(answer.contains("\r\n\r\nretry: 1000\n\nid: "))
        #expect(answer.hasSuffix("}\n\n"))
      }
    }
  }

  @Test("A client that waits to be told to go on is not blamed for a service that takes its time")
  func waitsForTheService() async throws {
    let limits = ConnectionGuard.Limits(minimumRate: 1000, window: .milliseconds(200))
    try await ServiceHarness().test(.live, guardLimits: limits) { client in
      let url = try await client.start("endless")
      try await client.talk { wire in
        wire.send(
          "GET \(url) HTTP/1.1\r\n\(Self.start)Prefer: wait=2\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        #expect(wire.read(until: "}\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
      }
      try await client.send(.delete, url)
    }
  }

  @Test("A client that asks and asks and reads no answer is dropped, though answers have no body")
  func readsNothing() async throws {
    let limits = ConnectionGuard.Limits(minimumRate: 1000, window: .milliseconds(500))
    let requests = 20_000
    try await ServiceHarness().test(.live, guardLimits: limits) { client in
      try await client.talk(buffer: 4096) { wire in
        wire.send(String(repeating: "HEAD /healthz HTTP/1.1\r\n\(Self.start)\r\n", count: requests))
        Thread.sleep(forTimeInterval: 3)
        #expect(wire.read().split(separator: "HTTP/1.1 200").count < requests / 2)
      }
    }
  }

  @Test("A slow reader gets its file and one that is slower is dropped", arguments: [(20_000, true), (1000, false)])
  func readsSlowly(_ rate: Int, _ survives: Bool) async throws {
    let limits = ConnectionGuard.Limits(minimumRate: 5000, window: .seconds(2))
    try await ServiceHarness().test(.live, guardLimits: limits) { client in
      let weights = String(repeating: "w", count: 4_000_000)
      let upload = try await client.upload("pytorch_model.bin", weights)
      let job = try await client.submit(
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"checkpoint":{"upload":"\#(upload)"}}"#
      )
      let url = try #require(job["url"])
      try await client.wait(url, for: "succeeded")
      try await client.talk(buffer: 16_384) { wire in
        wire.send("GET \(url)/outputs/pytorch_model_to_cs-1.8.mdl HTTP/1.1\r\n\(Self.start)Connection: close\r\n\r\n")
        var received = 0
        for _ in 0..<100 {
          received += wire.read(atMost: rate / 10).utf8.count
          Thread.sleep(forTimeInterval: 0.1)
        }
        let rest = wire.read()
        #expect((received + rest.utf8.count > weights.utf8.count) == survives, "\(received) + \(rest.utf8.count)")
      }
    }
  }

  @Test("A connection without a request ends, one with half a head as well")
  func idles() async throws {
    var limits = ConnectionGuard.Limits()
    limits.idle = .milliseconds(400)
    try await ServiceHarness().test(.live, guardLimits: limits) { client in
      for text in ["", "GET /healthz HTTP/1.1\r\nHost: loc", "GET /healthz HTTP/1.1\r\n\(Self.start)\r\n"] {
        try await client.talk { wire in
          let start = ContinuousClock.now
          wire.send(text)
          let answer = wire.read()
          #expect(answer.hasPrefix("HTTP/1.1 200") == text.hasSuffix("\r\n\r\n"))
          let time = ContinuousClock.now - start
          #expect(time > .milliseconds(300) && time < .seconds(4), "\(time)")
        }
      }
    }
  }

  @Test("One address leaves connections to others and is served again when it has closed some")
  func sharesConnections() async throws {
    try await ServiceHarness { $0.maximumConnections = 12 }.test(.live) { client in
      let port = try #require(client.base.port)
      try await client.talk { _ in
        @Sendable func isServed(_ wire: Wire?) -> Bool {
          wire?.send("GET /healthz HTTP/1.1\r\n\(Self.start)\r\n")
          let answer = wire?.read(until: "\r\n\r\n") ?? ""
          let isRefused = answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("Retry-After: 5\r\n")
          #expect(answer.hasPrefix("HTTP/1.1 200 ") || isRefused || answer.isEmpty, "\(answer)")
          return answer.hasPrefix("HTTP/1.1 200 ")
        }
        // One or two more connections are there: that of this conversation, and that of the test client.
        var wires = (0..<9).compactMap { _ in try? Wire(port: port) }
        #expect((7...8).contains(wires.count { isServed($0) }))
        #expect(isServed(try? Wire(port: port, from: 2)))
        wires.removeAll()
        // The service hears of it when it comes to it.
        let deadline = ContinuousClock.now + .seconds(10)
        var isServedAgain = false
        while !isServedAgain, ContinuousClock.now < deadline {
          isServedAgain = isServed(try? Wire(port: port))
          Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(isServedAgain)
      }
    }
  }

  @Test("An answer that breaks off by a fault of the service is logged under its request and counted")
  func breaksOff() async throws {
    let log = LogLines()
    let harness = try ServiceHarness(log: log.handler(level: .info))
    try await harness.test(.live) { client in
      let upload = try await client.upload("pytorch_model.bin", String(repeating: "w", count: 8_000_000))
      let job = try await client.submit(
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"checkpoint":{"upload":"\#(upload)"}}"#
      )
      let url = try #require(job["url"])
      try await client.wait(url, for: "succeeded")
      let name = "pytorch_model_to_cs-1.8.mdl"
      let id = try #require(url.split(separator: "/").last.map(String.init))
      let file = harness.folder.path.appending("outputs/\(id)/\(name)").string
      try await client.talk(buffer: 4096) { wire in
        wire.send("GET \(url)/outputs/\(name) HTTP/1.1\r\n\(Self.start)X-Request-Id: broken\r\n\r\n")
        #expect(wire.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(truncate(file, 4_000_000) == 0)
        #expect(wire.read().utf8.count < 7_000_000)
      }
      #expect(await eventually { log.all.contains { $0["message"] as? String == "answer broke off" } })
      let line = try #require(log.all.first { $0["message"] as? String == "answer broke off" })
      #expect(line["request"] as? String == "broken")
      #expect(line["level"] as? String == "error")
      let metrics = try await client.send(.get, "/metrics").body
      #expect(
        metrics.contains(
          #"zooport_http_broken_answers_total{route="/v1/jobs/{job}/outputs/{output}"} 1"#))
    }
  }
}
