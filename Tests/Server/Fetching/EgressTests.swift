import CCurl
import Foundation
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// The policy as requests meet it: spellings, names and redirects through name resolution and libcurl.
@Suite("Egress")
struct EgressTests {
  private func get(_ url: String, allowing: [String] = []) async throws -> (result: String?, error: ConversionError?) {
    var limits = Fetcher.Limits()
    limits.attempts = 1
    limits.connectSeconds = 5
    let fetcher = Fetcher(policy: try EgressPolicy(allowing: allowing), limits: limits)
    let source: SourceURL
    do { source = try SourceURL(url) } catch { return (nil, ConversionError(.usage, error.reason)) }
    let result = await onThread {
      try fetcher.document(TransferRequest(.get, source), limit: 100, isCancelled: { false })
    }.result
    switch result {
    case .success(let (answer, body)):
      return (answer.head.status == 200 ? String(decoding: body, as: UTF8.self) : nil, nil)
    case .failure(let failure): return (nil, (failure as? TransferFailure)?.error)
    }
  }

  /// Hosts that lead to this machine or a private network, in every spelling that resolvers take, and names that resolve
  /// to such addresses whatever they look like: what a rebinding name server answers.
  static let hosts = [
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001",
    "2130706433", "017700000001", "0", "0.0.0.0", "0x0", "127.00.00.01", "127.0.0.1.", "%31%32%37.0.0.1", "127。0。0。1",
    "localhost", "LocalHost", "localhost.", "rebound.localhost", "public.example.com.localhost", "[::1]", "[::]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "10.0.0.1", "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254", "0xa9fea9fe", "2852039166", "100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1",
  ]

  @Test("Nothing of this machine or a private network is reached by default", arguments: hosts)
  func refused(_ host: String) async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "secret")) }
    defer { server.stop() }
    let (result, error) = try await get("http://\(host):\(server.port)/")
    #expect(result == nil)
    // Some resolvers do not know every spelling; then the name leads nowhere.
    let refusal = try #require(error)
    #expect(
      refusal.kind == .usage || ["does not connect to", "resolve", "URL"].contains { refusal.message.contains($0) },
      "\(refusal.message)")
    #expect(server.requests.isEmpty)
  }

  @Test(
    "What is allowed is reached, in every spelling",
    arguments: [
      "127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost", "rebound.localhost",
      "[::ffff:7f00:1]",
    ])
  func allowed(_ host: String) async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "secret")) }
    defer { server.stop() }
    #expect(try await get("http://\(host):\(server.port)/", allowing: ["127.0.0.0/8"]).result == "secret")
    // Another exception does not help.
    #expect(try await get("http://\(host):\(server.port)/", allowing: ["10.0.0.0/8", "example.org"]).result == nil)
  }

  @Test(
    "Redirects are vetted like the first hop",
    arguments: [
      "http://127.0.0.2/", "http://2130706434/", "http://0x7f000002/", "http://[::1]/", "http://[::ffff:127.0.0.2]/",
      "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[64:ff9b::a9fe:a9fe]/",
      "http://[fd00::1]/",
      "http://0.0.0.0/", "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/",
      "http://user:word@127.0.0.1/",
      "//192.168.0.1/x", "http://172.31.0.1:80/",
    ])
  func redirects(_ target: String) async throws {
    let server = try LoopbackServer { _, send in
      send(LoopbackServer.answer("302 Found", "", headers: "Location: \(target)\r\n"))
    }
    defer { server.stop() }
    let (result, error) = try await get("http://127.0.0.1:\(server.port)/", allowing: ["127.0.0.1"])
    #expect(result == nil)
    #expect(error?.kind == .fetchFailed)
    #expect(server.requests.count == 1)
  }

  @Test("A connection that is used again was vetted; another host of the same address is vetted anew")
  func reuse() async throws {
    let server = try LoopbackServer.persistent { _, send in
      send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }
    defer { server.stop() }
    // The name is allowed, the address is not.
    let fetcher = Fetcher(policy: try EgressPolicy(allowing: ["localhost"]), limits: .init(attempts: 1))
    let port = server.port
    let statuses = await onThread {
      ["localhost", "localhost", "127.0.0.1"].map { host in
        let url = try? SourceURL("http://\(host):\(port)/")
        return url.flatMap { try? fetcher.send(TransferRequest(.get, $0), isCancelled: { false }).head.status }
      }
    }.result
    #expect(try statuses.get() == [200, 200, nil])
  }

  @Test("At a terminal the variable that allows an address is named, not an operator")
  func terminal() async throws {
    let url = try SourceURL("http://127.0.0.1:1/")
    var policy = EgressPolicy()
    policy.isForTerminal = true
    let fetcher = Fetcher(policy: policy, limits: .init(attempts: 1))
    let error = await transferError {
      try await onThread { try fetcher.send(TransferRequest(.get, url), isCancelled: { false }) }.result.get().head
    }
    #expect(
      error?.message
        == "127.0.0.1 is at 127.0.0.1, a loopback address, which is not connected to; set ZOOPORT_ALLOW_PRIVATE_FETCH to "
        + "127.0.0.1 to allow it")
    let socket = VettedSocket(policy: policy, host: "h")
    let trust = socket.failure(for: CURLE_PEER_FAILED_VERIFICATION, of: "the download from")
    #expect(trust.error.message.hasSuffix("this machine does not know; name the authority with ZOOPORT_FETCH_CA_FILE"))
  }
}
