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

/// What is found out about a file that a URL names before its bytes come.
@Suite("Files by URL, before their bytes")
struct DescriptionTests {
  @Test("HEAD tells size and tag, and whether ranges are served")
  func head() async throws {
    let answer = FileAnswer(bytes: someBytes(1000), headers: ["ETag: \"1\"", "Accept-Ranges: none"])
    let server = try LoopbackServer.answering { answer.send(to: $0, $1) }
    defer { server.stop() }
    let file = try await Fetcher.local().describe(server)
    #expect(file.size == 1000)
    #expect(file.tag == "\"1\"")
    #expect(file.servesRanges == false)
    #expect(server.requests.count == 1)
  }

  @Test(
    "A URL that is signed for GET alone is asked for its first byte", arguments: ["403 Forbidden", "405 No", "501 No"])
  func signed(status: String) async throws {
    let answer = FileAnswer(bytes: someBytes(1000), headers: ["ETag: \"1\""])
    let server = try LoopbackServer.answering { request, send in
      if request.method == "HEAD" {
        send("HTTP/1.1 \(status)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      } else {
        answer.send(to: request, send)
      }
    }
    defer { server.stop() }
    let file = try await Fetcher.local().describe(server)
    #expect(file.size == 1000)
    #expect(file.tag == "\"1\"")
    #expect(file.servesRanges == true)
    #expect(file.contentKey != nil)
    #expect(server.requests.count == 2)
  }

  @Test("A server that sends the whole file for its first byte is not read to the end")
  func whole() async throws {
    let server = try LoopbackServer.answering { request, send in
      if request.method == "HEAD" {
        send("HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      } else {
        send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\nConnection: close\r\n\r\n")
        while send(Data(count: 1 << 16)) {}
      }
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let (url, name) = (try SourceURL("http://127.0.0.1:\(server.port)/x"), try #require(FileName("x")))
    let (result, time) = await onThread { try fetcher.describe(url, name: name, isCancelled: { false }) }
    let file = try result.get()
    #expect(file.size == 1_000_000_000)
    #expect(file.servesRanges == false)
    #expect(time < .seconds(5))
  }

  @Test("A refusal of both is told with its status, and without the query")
  func refused() async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("403 Forbidden", "")) }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let error = await transferError { try await fetcher.describe(server) }
    #expect(error?.message == "127.0.0.1 answered 403 for http://127.0.0.1:\(server.port)/x.bin")
  }

  @Test("A size that no file may have is refused where it is read", arguments: [Int.max, 200 << 30 + 1])
  func tooLarge(size: Int) async throws {
    let server = try LoopbackServer { _, send in
      send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\nConnection: close\r\n\r\n")
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let error = await transferError { try await fetcher.describe(server) }
    #expect(error?.kind == .fetchFailed)
    #expect(error?.message.contains("\(size) bytes; the limit of the service is \(200 << 30)") == true)
  }

  @Test("A range that claims to be of the largest file is no size to add to")
  func hugeRest() async throws {
    let bytes = someBytes(100_000)
    let server = try LoopbackServer.answering { request, send in
      guard request.header("Range") != nil else {
        return FileAnswer(bytes: bytes, headers: ["ETag: \"1\""], dropsAfter: 50_000).send(to: request, send)
      }
      send(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: \(Int.max)\r\nContent-Range: bytes 50000-99999/*\r\n\r\n"
          + "x")
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    var remote = try await fetcher.describe(server)
    remote.size = nil
    let (file, folder) = (remote, try TemporaryFolder())
    let error = await transferError {
      try await onThread {
        try ResumableDownload(
          file, to: folder.path.appending("x"), fetcher: fetcher, isCancelled: { false }, progress: { _ in }
        ).run()
      }.result.get()
    }
    #expect(error?.message.contains("limit of the service") == true)
  }

  @Test("Bytes with a coding are not those of the file", arguments: ["gzip", "br", "x, gzip"])
  func coding(name: String) async throws {
    let answer = FileAnswer(bytes: someBytes(1000), headers: ["Content-Encoding: \(name)"])
    let server = try LoopbackServer.answering { answer.send(to: $0, $1) }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let error = await transferError { try await fetcher.describe(server) }
    #expect(error?.message.contains("Content-Encoding \(name)") == true)
    #expect(server.requests.count == 1)
    let plain = FileAnswer(bytes: someBytes(1000), headers: ["Content-Encoding: identity"])
    let other = try LoopbackServer.answering { plain.send(to: $0, $1) }
    defer { other.stop() }
    #expect(try await fetcher.describe(other).size == 1000)
  }

  @Test("A server that fails at HEAD, or has nothing to say, is asked for the first byte", arguments: [500, 503, 200])
  func badHead(status: Int) async throws {
    let answer = FileAnswer(bytes: someBytes(1000), headers: ["ETag: \"1\""])
    let server = try LoopbackServer.answering { request, send in
      guard request.method == "HEAD" else { return answer.send(to: request, send) }
      send("HTTP/1.1 \(status) Status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }
    defer { server.stop() }
    let file = try await Fetcher.local().describe(server)
    #expect(file.size == 1000)
    #expect(file.tag == "\"1\"")
    #expect(server.requests.count == 2)
  }

  @Test("An empty file is one", arguments: ["200 OK", "416 Range Not Satisfiable"])
  func empty(status: String) async throws {
    let server = try LoopbackServer.answering { request, send in
      let isRange = request.header("Range") != nil
      send(
        "HTTP/1.1 \(isRange ? status : "200 OK")\r\nContent-Length: 0\r\nConnection: close\r\n"
          + (isRange && status.hasPrefix("416") ? "Content-Range: bytes */0\r\n\r\n" : "\r\n"))
    }
    defer { server.stop() }
    #expect(try await Fetcher.local().describe(server).size == 0)
  }

  @Test("A server that is away for a moment is tried again, by the second request")
  func away() async throws {
    let answer = FileAnswer(bytes: someBytes(1000))
    let times = Mutex(0)
    let server = try LoopbackServer.answering { request, send in
      let number = times.withLock { times in
        times += 1
        return times
      }
      guard number < 3 else { return answer.send(to: request, send) }
      send("HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }
    defer { server.stop() }
    #expect(try await Fetcher.local().describe(server).size == 1000)
  }
}
