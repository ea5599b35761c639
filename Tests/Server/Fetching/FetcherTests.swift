import Foundation
import Synchronization
import SystemPackage
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

@Suite("Fetcher")
struct FetcherTests {
  private func fetch(
    _ url: String, allowing: [String] = ["127.0.0.1"], limits change: (inout Fetcher.Limits) -> Void = { _ in },
    isCancelled: @escaping @Sendable () -> Bool = { false }
  ) async throws -> String {
    var limits = Fetcher.Limits()
    limits.backoff = .milliseconds(10)
    limits.patience = .zero
    change(&limits)
    let fetcher = Fetcher(policy: try EgressPolicy(allowing: allowing), limits: limits)
    let folder = try TemporaryFolder()
    let path = folder.path.appending("file")
    let remote = RemoteFile(name: try #require(FileName("file")), url: try SourceURL(url))
    return try await onThread {
      try ResumableDownload(remote, to: path, fetcher: fetcher, isCancelled: isCancelled, progress: { _ in }).run()
      return try String(contentsOfFile: path.string, encoding: .utf8)
    }.result.get()
  }

  /// Asks for a file that hangs after its first bytes. Answers the error and how long it took to come.
  private func hang(
    limits: Fetcher.Limits, isCancelled: @escaping @Sendable () -> Bool = { false }
  ) async throws -> (error: ConversionError?, time: Duration) {
    let server = try LoopbackServer { _, send in
      _ = send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123")
      Thread.sleep(forTimeInterval: 20)
    }
    defer { server.stop() }
    let fetcher = Fetcher(policy: try EgressPolicy(allowing: ["127.0.0.1"]), limits: limits)
    let folder = try TemporaryFolder()
    let path = folder.path.appending("file")
    let url = try SourceURL("http://127.0.0.1:\(server.port)/x")
    let remote = RemoteFile(name: try #require(FileName("file")), url: url)
    let (result, time) = await onThread {
      try ResumableDownload(remote, to: path, fetcher: fetcher, isCancelled: isCancelled, progress: { _ in }).run()
    }
    guard case .failure(let error) = result else { return (nil, time) }
    return ((error as? TransferFailure)?.error, time)
  }

  private func failure(_ body: () async throws -> String) async -> ConversionError? {
    do {
      _ = try await body()
      return nil
    } catch {
      return (error as? TransferFailure)?.error
    }
  }

  @Test("A host that has no address does not spoil the requests that follow")
  func unresolved() async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "content")) }
    defer { server.stop() }
    let fetcher = try Fetcher.local { $0.attempts = 1 }
    let missing = try SourceURL("http://missing.invalid/x")
    let here = try SourceURL("http://127.0.0.1:\(server.port)/x")
    @Sendable func get(_ url: SourceURL) async throws -> Int {
      try await onThread { try fetcher.send(TransferRequest(.get, url), isCancelled: { false }).head.status }.result
        .get()
    }
    for _ in 0..<3 {
      let error = await transferError { try await get(missing) }
      #expect(error?.message.hasPrefix("the download from missing.invalid failed") == true, "\(error?.message ?? "")")
      #expect(try await get(here) == 200)
    }
  }

  @Test("A file, through redirects")
  func redirects() async throws {
    let server = try LoopbackServer { target, send in
      switch target {
      case "/a": _ = send(LoopbackServer.answer("302 Found", "not this", headers: "Location: /b?x=1\r\n"))
      case "/b?x=1": _ = send(LoopbackServer.answer("307 Temporary Redirect", "nor this", headers: "Location: c/d\r\n"))
      default: _ = send(LoopbackServer.answer("200 OK", "content"))
      }
    }
    defer { server.stop() }
    #expect(try await fetch("http://127.0.0.1:\(server.port)/a") == "content")
    #expect(server.requests == ["/a", "/b?x=1", "/c/d"])
  }

  @Test("Redirects are bounded, and lead to nothing but public http(s) without credentials")
  func badRedirects() async throws {
    let server = try LoopbackServer { target, send in
      let location =
        switch target {
        case "/loop": "/loop"
        case "/file": "file:///etc/passwd"
        case "/user": "http://u:p@127.0.0.1/"
        default: "http://127.0.0.2:1/"
        }
      _ = send(LoopbackServer.answer("302 Found", "", headers: "Location: \(location)\r\n"))
    }
    defer { server.stop() }
    for (path, text) in [
      ("/loop", "more than 8 times"), ("/file", "only https and http"), ("/user", "credentials"),
      ("/away", "no public address"),
    ] {
      let error = await failure { try await fetch("http://127.0.0.1:\(server.port)\(path)") }
      #expect(error?.kind == .fetchFailed)
      #expect(error?.message.contains(text) == true, "\(path): \(error?.message ?? "no error")")
    }
  }

  @Test("Every spelling of loopback is refused before a connection is made")
  func spellings() async throws {
    let server = try LoopbackServer { _, send in _ = send(LoopbackServer.answer("200 OK", "secret")) }
    defer { server.stop() }
    for host in [
      "127.0.0.1", "localhost", "LOCALHOST", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "127.0.1", "0x7f.0.0.1",
      "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1.", "127.00.00.01",
      "[0:0:0:0:0:0:0:1]", "[::ffff:0:7f00:1]", "[64:ff9b::7f00:1]", "%31%32%37.0.0.1", "127。0。0。1",
    ] {
      let error = await failure {
        try await fetch("http://\(host):\(server.port)/", allowing: []) { $0.attempts = 1 }
      }
      #expect(error != nil, "\(host)")
    }
    #expect(server.requests.isEmpty)
  }

  @Test("A status that will not change fails at once, with host and status and without the query")
  func notFound() async throws {
    let server = try LoopbackServer { _, send in _ = send(LoopbackServer.answer("404 Not Found", "no")) }
    defer { server.stop() }
    let error = await failure { try await fetch("http://127.0.0.1:\(server.port)/x?sig=secret") }
    #expect(error?.kind == .fetchFailed)
    #expect(error?.message == "127.0.0.1 answered 404 for http://127.0.0.1:\(server.port)/x")
    #expect(server.requests.count == 1)
  }

  @Test("Faults of the moment are tried again, and not for ever")
  func retries() async throws {
    let count = Mutex(0)
    let server = try LoopbackServer { target, send in
      let number = count.withLock {
        $0 += 1
        return $0
      }
      if target == "/never" || number < 3 {
        _ = send(LoopbackServer.answer("503 Service Unavailable", "later"))
      } else {
        _ = send(LoopbackServer.answer("200 OK", "at last"))
      }
    }
    defer { server.stop() }
    #expect(try await fetch("http://127.0.0.1:\(server.port)/x") == "at last")
    let error = await failure { try await fetch("http://127.0.0.1:\(server.port)/never") }
    #expect(error?.message.contains("answered 503") == true)
    #expect(server.requests.count == 3 + 4)
  }

  @Test("A file is tried for as long as patience lasts, whatever the number of tries; a head is not")
  func patience() async throws {
    let start = Mutex<ContinuousClock.Instant?>(nil)
    let server = try LoopbackServer.answering { request, send in
      let began = start.withLock { start in
        start = start ?? .now
        return start ?? .now
      }
      let isDown = request.target == "/head" || ContinuousClock.now - began < .milliseconds(1500)
      send(LoopbackServer.answer(isDown ? "503 Service Unavailable" : "200 OK", "at last"))
    }
    defer { server.stop() }
    #expect(
      try await fetch("http://127.0.0.1:\(server.port)/x") {
        $0.attempts = 2
        $0.patience = .seconds(20)
      } == "at last")
    #expect(server.requests.count > 3)
    let fetcher = try Fetcher.local {
      $0.attempts = 2
      $0.patience = .seconds(20)
    }
    let before = server.requests.count
    #expect(await transferError { try await fetcher.describe(server, "/head") }?.kind == .fetchFailed)
    // HEAD once, and its first byte as often as tries are allowed.
    #expect(server.requests.count == before + 3)
  }

  @Test("A pause that the server asks for is kept, or ends the tries when it is too long")
  func waits() async throws {
    let server = try LoopbackServer { target, send in
      let wait = target == "/long" ? "Retry-After: 61\r\n" : "RateLimit: \"api\";r=0;t=1\r\n"
      send(LoopbackServer.answer("429 Too Many", "", headers: wait))
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local { $0.attempts = 2 }
    let start = ContinuousClock.now
    _ = await transferError { try await fetcher.describe(server, "/short") }
    #expect(ContinuousClock.now - start >= .seconds(1))
    #expect(server.requests.count == 2)
    let error = await transferError { try await fetcher.describe(server, "/long") }
    #expect(error?.message.hasSuffix("and asks to wait 61 s") == true)
    #expect(server.requests.count == 3)
  }

  @Test("Somebody who watches is told of a long pause")
  func notice() async throws {
    let server = try LoopbackServer { _, send in
      send(LoopbackServer.answer("429 Too Many", "", headers: "Retry-After: 6\r\n"))
    }
    defer { server.stop() }
    let notices = Mutex<[String]>([])
    let fetcher = Fetcher(policy: try EgressPolicy(allowing: ["127.0.0.1"]), limits: .init()) { text in
      notices.withLock { $0.append(text) }
    }
    let url = try SourceURL("http://127.0.0.1:\(server.port)/x")
    let name = try #require(FileName("x"))
    // Told, it is cancelled.
    let error = await transferError {
      try await onThread {
        try fetcher.describe(url, name: name, isCancelled: { notices.withLock { !$0.isEmpty } })
      }.result.get()
    }
    #expect(error?.kind == .cancelled)
    #expect(notices.withLock { $0 } == ["127.0.0.1 answered 429 for \(url.text), and asks to wait 6 s"])
  }

  @Test(
    "What servers ask to wait, in every form",
    arguments: [
      (["retry-after": "7"], 7), (["retry-after": "-7"], 0), (["retry-after": "soon"], nil),
      (["retry-after": "Thu, 01 Jan 2026 12:01:00 GMT", "date": "Thu, 01 Jan 2026 12:00:00 GMT"], 60),
      (["retry-after": "Thu, 01 Jan 1970 12:01:00 GMT"], 0),
      (["ratelimit": "\"api\";r=0;t=55"], 55), (["ratelimit": "\"api\";r=3;t=55"], nil),
      (["ratelimit": "\"pages\";r=10;t=99, \"api\"; r=0; t=55"], 55),
      (["ratelimit": "\"api\";r=0;t=55", "retry-after": "90"], 90), (["ratelimit": ";;,=;r=0"], nil),
      (["retry-after": "\(Int.max)"], 365 * 86_400), ([:], nil),
    ] as [([String: String], Int?)])
  func retryAfter(headers: [String: String], seconds: Int?) {
    #expect(TransferHead(status: 429, headers: headers).retryAfter == seconds.map { .seconds($0) })
  }

  @Test("A server that trickles is given up, though each second brings a byte")
  func trickle() async throws {
    let server = try LoopbackServer { _, send in
      send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
      while send(String(repeating: "x", count: 1000)) { Thread.sleep(forTimeInterval: 0.05) }
    }
    defer { server.stop() }
    let error = await failure {
      try await fetch("http://127.0.0.1:\(server.port)/x") {
        $0.leastRate = 100_000
        $0.rateWindow = .seconds(1)
      }
    }
    #expect(error?.message == "127.0.0.1 sends less than 100000 bytes a second")
    // Other tries would be as slow.
    #expect(server.requests.count == 1)
  }

  @Test("A request without one of its options is not sent")
  func options() async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "content")) }
    defer { server.stop() }
    // libcurl takes a time limit in milliseconds that fits 32 bits.
    let error = await failure {
      try await fetch("http://127.0.0.1:\(server.port)/x") { $0.totalSeconds = 100_000 * 60 }
    }
    #expect(error?.kind == .internal)
    #expect(server.requests.isEmpty)
    #expect(throws: Settings.Invalid.self) { try Settings(flags: ["fetch-time": "35792"], environment: [:]) }
    #expect(try Settings(flags: ["fetch-time": "35000"], environment: [:]).fetchLimits.totalSeconds == 2_100_000)
    #expect(
      try await fetch("http://127.0.0.1:\(server.port)/x") { $0.totalSeconds = 2_100_000 } == "content")
  }

  @Test("A dropped connection is tried again from the start")
  func dropped() async throws {
    let count = Mutex(0)
    let server = try LoopbackServer { _, send in
      let isFirst = count.withLock {
        $0 += 1
        return $0 == 1
      }
      _ = send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + (isFirst ? "01234" : "0123456789"))
    }
    defer { server.stop() }
    #expect(try await fetch("http://127.0.0.1:\(server.port)/x") == "0123456789")
  }

  @Test("The limit counts bytes, whatever the server announces", arguments: [true, false])
  func limit(isChunked: Bool) async throws {
    let server = try LoopbackServer { _, send in
      _ = send(
        "HTTP/1.1 200 OK\r\n" + (isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: 5000\r\n\r\n"))
      let text = String(repeating: "x", count: 1000)
      for _ in 0..<5 where send(isChunked ? "3e8\r\n\(text)\r\n" : text) {}
      if isChunked { _ = send("0\r\n\r\n") }
    }
    defer { server.stop() }
    let url = "http://127.0.0.1:\(server.port)/x"
    #expect(try await fetch(url) { $0.bytes = 5000 }.count == 5000)
    let error = await failure { try await fetch(url) { $0.bytes = 4999 } }
    #expect(error?.kind == .fetchFailed)
    #expect(error?.message.contains("4999") == true)
    #expect(server.requests.count == 2)
  }

  @Test("A stalled transfer is noticed")
  func stall() async throws {
    let (error, time) = try await hang(limits: .init(attempts: 1, patience: .zero, stallSeconds: 1))
    #expect(error?.kind == .fetchFailed)
    #expect(time < .seconds(10))
  }

  @Test("Cancelling ends a download within a second")
  func cancel() async throws {
    // The moment when the answer to "cancelled?" became yes; set by the thread that downloads.
    let asked = Mutex<(first: ContinuousClock.Instant?, yes: ContinuousClock.Instant?)>((nil, nil))
    let (error, time) = try await hang(limits: .init()) {
      asked.withLock { asked in
        let now = ContinuousClock.now
        let first = asked.first ?? now
        asked.first = first
        guard now - first > .milliseconds(300) else { return false }
        asked.yes = asked.yes ?? now
        return true
      }
    }
    #expect(error?.kind == .cancelled)
    let (first, yes) = asked.withLock { ($0.first, $0.yes) }
    #expect(time < .seconds(5))
    // It is asked several times a second, and the first yes ends it.
    #expect(try #require(yes) - #require(first) < .milliseconds(1300))
  }
}
