import Foundation
import TestSupport

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// Answers for one file as a plain server gives them, or one that gets something wrong.
struct FileAnswer {
  var bytes: Data
  /// Header lines, such as `ETag: "1"`.
  var headers: [String] = []
  /// Ranges are served.
  var servesRanges = true
  /// `If-Range` is compared with the tag.
  var heedsIfRange = true
  /// The connection breaks after so many bytes of the body.
  var dropsAfter = Int.max

  /// Answers a request; the connection ends with it.
  func send(to request: LoopbackServer.Request, _ send: LoopbackServer.Send) {
    var range = 0..<bytes.count
    var lines = headers
    let isCurrent = request.header("If-Range").map { value in headers.contains { $0.hasSuffix(": \(value)") } } ?? true
    if servesRanges, isCurrent || !heedsIfRange, let text = request.header("Range") {
      let ends = text.dropFirst("bytes=".count).split(separator: "-")
      range = (Int(ends[0]) ?? 0)..<(ends.count > 1 ? Int(ends[1]).map { $0 + 1 } ?? bytes.count : bytes.count)
      lines.append("Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(bytes.count)")
    }
    let status = range.count < bytes.count || lines.count > headers.count ? "206 Partial Content" : "200 OK"
    lines += ["Content-Length: \(range.count)", "Connection: close"]
    send("HTTP/1.1 \(status)\r\n" + lines.map { "\($0)\r\n" }.joined() + "\r\n")
    if request.method != "HEAD" { send(bytes.subdata(in: range).prefix(dropsAfter)) }
  }
}

extension Fetcher {
  /// One that reaches this machine and waits for nobody.
  static func local(_ change: (inout Limits) -> Void = { _ in }) throws -> Fetcher {
    var limits = Limits()
    limits.backoff = .milliseconds(10)
    limits.patience = .zero
    change(&limits)
    return Fetcher(policy: try EgressPolicy(allowing: ["127.0.0.1"]), limits: limits)
  }

  /// What is known of a file of a server before its bytes.
  func describe(_ server: LoopbackServer, _ path: String = "/x.bin?sig=secret") async throws -> RemoteFile {
    let (url, name) = (try SourceURL("http://127.0.0.1:\(server.port)\(path)"), FileName("x.bin")!)
    return try await onThread { try describe(url, name: name, isCancelled: { false }) }.result.get()
  }
}
