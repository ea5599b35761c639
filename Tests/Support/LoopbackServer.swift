public import Foundation
import Synchronization

/// A tiny HTTP/1.1 server on a free port of 127.0.0.1, one thread a connection, that does whatever a test asks of it.
///
/// The server lives until `stop` or the end of the process.
public final class LoopbackServer: Sendable {
  /// Writes raw bytes of an answer; false when the client has gone.
  public struct Send: Sendable {
    fileprivate let connection: Int32
    /// The request was HEAD: what follows the head of the answer is not sent.
    fileprivate var isHeadOnly = false

    /// Sends text.
    @discardableResult
    public func callAsFunction(_ text: String) -> Bool { self(Data(text.utf8)) }

    /// Sends bytes.
    @discardableResult
    public func callAsFunction(_ data: Data) -> Bool {
      var bytes = Array(data)[...]
      let end = isHeadOnly ? data.range(of: Data("\r\n\r\n".utf8)) : nil
      if let end { bytes = bytes.prefix(data.distance(from: data.startIndex, to: end.upperBound)) }
      defer { if end != nil { shutdown(connection, Int32(SHUT_WR)) } }
      while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return false }
        bytes = bytes.dropFirst(count)
      }
      return true
    }
  }

  /// A request that arrived whole.
  public struct Request: Sendable {
    /// `GET`, `POST` ...
    public let method: String
    /// Such as `/file?x=1`.
    public let target: String
    /// Request line and header fields, up to the empty line.
    public let head: String
    /// As many bytes as `Content-Length` announced.
    public let body: Data

    /// The value of a header field; names are compared without regard to case.
    public func header(_ name: String) -> String? {
      for line in head.split(separator: "\r\n") {
        guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() else { continue }
        return line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      }
      return nil
    }
  }

  /// The port it listens on.
  public var port: Int { listener.port }
  private let listener: LoopbackListener
  private let log: Log

  /// Outlives the server in the threads of its connections.
  private final class Log: Sendable {
    let targets = Mutex<[String]>([])
  }

  /// `answer` gets the request target, such as `/file?x=1`, and a function to send raw bytes with.
  public convenience init(_ answer: @escaping @Sendable (_ target: String, _ send: Send) -> Void) throws {
    try self.init(handler: { request, send in
      var send = send
      send.isHeadOnly = request.method == "HEAD"
      answer(request.target, send)
      return false
    })
  }

  /// A server whose `answer` gets the whole request, and a function to send raw bytes with.
  public static func answering(
    _ answer: @escaping @Sendable (_ request: Request, _ send: Send) -> Void
  ) throws -> LoopbackServer {
    try LoopbackServer(handler: { request, send in
      answer(request, send)
      return false
    })
  }

  /// A server whose `answer` says, too, whether the connection takes another request.
  public static func persistent(
    _ answer: @escaping @Sendable (_ request: Request, _ send: Send) -> Bool
  ) throws -> LoopbackServer {
    try LoopbackServer(handler: answer)
  }

  private init(handler answer: @escaping @Sendable (_ request: Request, _ send: Send) -> Bool) throws {
    let log = Log()
    self.log = log
    listener = try LoopbackListener { connection in
      while let request = Self.readRequest(connection) {
        log.targets.withLock { $0.append(request.target) }
        guard answer(request, Send(connection: connection)) else { break }
      }
      close(connection)
    }
  }

  /// The targets that were asked for, in order.
  public var requests: [String] { log.targets.withLock { $0 } }

  /// Takes no more connections.
  public func stop() { listener.stop() }

  /// A whole answer.
  public static func answer(_ status: String, _ body: String, headers: String = "") -> String {
    "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\(headers)\r\n\(body)"
  }

  private static func readRequest(_ connection: Int32) -> Request? {
    var head = ""
    var byte: UInt8 = 0
    while !head.hasSuffix("\r\n\r\n"), head.utf8.count < 65536 {
      guard recv(connection, &byte, 1, 0) == 1 else { return nil }
      head.unicodeScalars.append(Unicode.Scalar(byte))
    }
    let parts = head.split(separator: " ")
    guard parts.count > 1 else { return nil }
    let bare = Request(method: String(parts[0]), target: String(parts[1]), head: head, body: Data())
    var body = Data()
    let length = bare.header("Content-Length").flatMap { Int($0) } ?? 0
    while body.count < length, recv(connection, &byte, 1, 0) == 1 { body.append(byte) }
    return Request(method: bare.method, target: bare.target, head: head, body: body)
  }
}
