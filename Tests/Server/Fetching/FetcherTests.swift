import Core
import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Server

@Suite("Fetcher")
struct FetcherTests {
  private func fetch(
    _ url: String, allowing: [String] = ["127.0.0.1"], limits change: (inout Fetcher.Limits) -> Void = { _ in },
    isCancelled: @escaping @Sendable () -> Bool = { false }
  ) async throws -> String {
    var limits = Fetcher.Limits()
    limits.backoff = .milliseconds(10)
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
      ("/loop", "more than 8 times"), ("/file", "only https and http"), ("/user", "credentials"), ("/away", "loopback"),
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
    let (error, time) = try await hang(limits: .init(attempts: 1, stallSeconds: 1))
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
