import Crypto
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

@Suite("Download of an output")
struct OutputDownloadTests {
  /// An output of a job at `url`.
  private func output(_ content: String, _ url: String) throws -> RemoteJob.Output {
    RemoteJob.Output(
      name: try #require(FileName("model.mdl")), size: content.utf8.count,
      sha256: SHA256.hash(data: Data(content.utf8)).hexadecimal, url: url)
  }

  @Test("Of outputs of two jobs with one name each goes on with its own bytes")
  func equalNames() async throws {
    let contents = [
      "/a": String(repeating: "a", count: 10_000), "/b": String(repeating: "b", count: 10_000),
    ]
    let ranges = Mutex<[String?]>([])
    let server = try LoopbackServer.answering { request, send in
      guard request.method == "GET" else {
        send(LoopbackServer.answer("404 Not Found", ""))
        return
      }
      let range = request.header("Range")
      let isFirst = ranges.withLock { ranges in
        ranges.append(range)
        return ranges.count == 1
      }
      let content = contents[request.target] ?? ""
      let start = range.flatMap { Int($0.dropFirst("bytes=".count).dropLast()) } ?? 0
      let head = range == nil ? "HTTP/1.1 200 OK" : "HTTP/1.1 206 Partial Content"
      send("\(head)\r\nContent-Length: \(content.utf8.count - start)\r\nConnection: close\r\n\r\n")
      // The first answer breaks off.
      send(String(isFirst ? content.prefix(4000) : content.dropFirst(start)))
    }
    defer { server.stop() }
    let folder = try TemporaryFolder()
    let client = ServiceClient(base: "http://127.0.0.1:\(server.port)", token: nil, patience: .zero)
    func download(_ url: String) async throws -> Result<FilePath, any Error> {
      let output = try output(contents[url] ?? "", url)
      return await onThread {
        try OutputDownload(output, into: folder.path, client: client, report: { _, _ in }).run()
      }.result
    }
    await #expect(throws: ClientFailure.self) { _ = try await download("/a").get() }
    let path = try await download("/b").get()
    #expect(path == folder.path.appending("model.mdl"))
    #expect(try String(contentsOfFile: path.string, encoding: .utf8) == contents["/b"])
    _ = try await download("/a").get()
    #expect(try String(contentsOfFile: path.string, encoding: .utf8) == contents["/a"])
    #expect(ranges.withLock { $0 } == [nil, nil, "bytes=4000-"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path.string) == ["model.mdl"])
  }

  @Test("The token goes to the server that was named, and nowhere else")
  func tokenStays() async throws {
    let seen = Mutex<[String?]>([])
    func server() throws -> LoopbackServer {
      try LoopbackServer.answering { request, send in
        guard request.method == "GET" else {
          send(LoopbackServer.answer("405 Method Not Allowed", ""))
          return
        }
        seen.withLock { $0.append(request.header("Authorization")) }
        send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
      }
    }
    let (named, other) = (try server(), try server())
    defer {
      named.stop()
      other.stop()
    }
    let folder = try TemporaryFolder()
    let client = ServiceClient(base: "http://127.0.0.1:\(named.port)", token: "zpt_secret", patience: .zero)
    for url in [
      "/x", "http://127.0.0.1:\(named.port)/x", "http://127.0.0.1:\(other.port)/x", "http://localhost:\(named.port)/x",
    ] {
      let output = try output("ok", url)
      try? FileManager.default.removeItem(atPath: folder.path.appending("model.mdl").string)
      _ = try await onThread {
        try OutputDownload(output, into: folder.path, client: client, report: { _, _ in }).run()
      }.result.get()
    }
    #expect(seen.withLock { $0 } == ["Bearer zpt_secret", "Bearer zpt_secret", nil, nil])
  }

  /// A server of `/x`, which has "0123456789", by links alone: each gives four bytes and is refused from then on. Answers
  /// the requests of a download, as method, target and token.
  private func requests(
    whenLinksAre url: @escaping @Sendable (_ number: Int) -> String, token: String? = "zpt_secret"
  ) async throws -> (result: Result<FilePath, any Error>, requests: [String]) {
    let log = Mutex<[String]>([])
    @Sendable func answer(_ request: LoopbackServer.Request) -> String {
      let authorization = request.header("Authorization")
      let earlier = log.withLock { (log: inout [String]) -> [String] in
        defer { log.append("\(request.method) \(request.target) \(authorization ?? "-")") }
        return log
      }
      if request.method == "POST" {
        let number = earlier.count { $0.hasPrefix("POST") } + 1
        return LoopbackServer.answer("201 Created", #"{"url":"\#(url(number))","expires_at":"x"}"#)
      }
      let isUsed = earlier.contains { $0.hasPrefix("GET \(request.target) ") }
      let isAllowed = request.target.hasPrefix("/x?link=") ? !isUsed : authorization != nil
      guard isAllowed else { return LoopbackServer.answer("401 Unauthorized", "") }
      let start = request.header("Range").flatMap { Int($0.dropFirst("bytes=".count).dropLast()) } ?? 0
      let head = start == 0 ? "HTTP/1.1 200 OK" : "HTTP/1.1 206 Partial Content"
      let part = "0123456789".dropFirst(start).prefix(4)
      return "\(head)\r\nContent-Length: \(10 - start)\r\nConnection: close\r\n\r\n\(part)"
    }
    let server = try LoopbackServer.answering { request, send in send(answer(request)) }
    defer { server.stop() }
    let folder = try TemporaryFolder()
    let client = ServiceClient(base: "http://127.0.0.1:\(server.port)", token: token, patience: .seconds(20))
    let output = try output("0123456789", "/x")
    let result = await onThread {
      try OutputDownload(output, into: folder.path, client: client, report: { _, _ in }).run()
    }.result
    if case .success(let path) = result {
      #expect(try String(contentsOfFile: path.string, encoding: .utf8) == "0123456789")
    }
    return (result, log.withLock { $0 })
  }

  @Test("A link stands for the token; one that is worth nothing any more is followed by another")
  func links() async throws {
    let (result, requests) = try await requests { "/x?link=\($0)" }
    _ = try result.get()
    let token = "Bearer zpt_secret"
    #expect(
      requests == [
        "POST /x/links \(token)", "GET /x?link=1 -", "GET /x?link=1 -", "POST /x/links \(token)", "GET /x?link=2 -",
        "GET /x?link=2 -", "POST /x/links \(token)", "GET /x?link=3 -",
      ])
  }

  @Test("A new link that is refused as well is not followed by more of them")
  func uselessLinks() async throws {
    let (result, requests) = try await requests { _ in "/y?link=1" }
    _ = try result.get()
    #expect(
      requests.prefix(3) == [
        "POST /x/links Bearer zpt_secret", "GET /y?link=1 -", "GET /x Bearer zpt_secret",
      ])
    #expect(requests.count { $0.hasPrefix("POST") } == 1)
    let (refused, all) = try await self.requests(whenLinksAre: { _ in "/y?link=1" }, token: nil)
    #expect(throws: ClientFailure.self) { _ = try refused.get() }
    #expect(all == ["POST /x/links -", "GET /y?link=1 -", "GET /x -"])
  }

  @Test("A link to another server is asked without the token")
  func linkElsewhere() async throws {
    let seen = Mutex<[String?]>([])
    let other = try LoopbackServer.answering { request, send in
      seen.withLock { $0.append(request.header("Authorization")) }
      send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789")
    }
    defer { other.stop() }
    let port = other.port
    let (result, requests) = try await requests { _ in "http://127.0.0.1:\(port)/z" }
    _ = try result.get()
    #expect(requests == ["POST /x/links Bearer zpt_secret"])
    #expect(seen.withLock { $0 } == [nil])
  }

  @Test("A digest that is none is no path")
  func hostileDigest() async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "x")) }
    defer { server.stop() }
    let folder = try TemporaryFolder()
    let below = folder.path.appending("below")
    try FileManager.default.createDirectory(atPath: below.string, withIntermediateDirectories: true)
    let client = ServiceClient(base: "http://127.0.0.1:\(server.port)", token: nil, patience: .zero)
    let output = RemoteJob.Output(
      name: try #require(FileName("model.mdl")), size: 2, sha256: "/../../x", url: "/x")
    let result = await onThread {
      try OutputDownload(output, into: below, client: client, report: { _, _ in }).run()
    }.result
    #expect(throws: ClientFailure.self) { _ = try result.get() }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path.string) == ["below"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: below.string) == ["model.mdl..part"])
  }
}
