import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import Server

/// What happens on the wire, with a client that writes raw bytes.
@Suite("Connections")
struct ConnectionGuardTests {
  /// A connection to the service; reads give up after five seconds.
  private final class Wire {
    private let descriptor: Int32

    init(port: Int) throws {
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var timeout = timeval(tv_sec: 5, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = UInt16(port).bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let status = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      guard status == 0 else { throw POSIXError(.ECONNREFUSED) }
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
      let bytes = Array(text.utf8)
      _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Reads until a text appears, or to the end of the connection for nil.
    func read(until text: String? = nil) -> String {
      var received = ""
      var buffer = [UInt8](repeating: 0, count: 4096)
      while text.map({ !received.contains($0) }) ?? true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        received += String(decoding: buffer[..<count], as: UTF8.self)
      }
      return received
    }
  }

  /// Runs a blocking conversation off the cooperative pool.
  private func talk(
    _ client: Client, _ body: @escaping @Sendable (Wire) -> Void
  ) async throws {
    let port = try #require(client.base.port)
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      Thread { done.resume(with: Result { body(try Wire(port: port)) }) }.start()
    }
  }

  private static let start = "Host: x\r\n"

  @Test("100 Continue comes at once, then the answer, and the connection stays")
  func continues() async throws {
    try await ServiceHarness().test(.live) { client in
      try await talk(client) { wire in
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
      try await talk(client) { wire in
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
      try await talk(client) { wire in
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
      try await talk(client) { wire in
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
      try await talk(client) { wire in
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
      try await talk(client) { wire in
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
