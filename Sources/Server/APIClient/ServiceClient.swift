import API
import Core
package import Foundation
package import HTTPTypes
package import Inputs

/// The REST API of one server, for the client commands. Blocks.
///
/// A request that the server can take twice is sent again when there is no answer, or one that asks for patience, with
/// growing pauses, until `patience` has gone by without any success.
package struct ServiceClient: Sendable {
  /// Without a slash at the end.
  let base: String
  /// Sent as a bearer; never shown.
  package let token: String?
  /// A PEM file with the certificates of the authorities that vouch for the server; nil for those of the system.
  package var authorities: String?
  /// How long a server may be out of reach.
  package var patience: Duration = .seconds(300)
  /// Told why a request is sent again.
  var notice: @Sendable (String) -> Void = { _ in }

  package init(
    base: String, token: String?, authorities: String? = nil, patience: Duration = .seconds(300),
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.base = base
    self.token = token
    self.authorities = authorities
    self.patience = patience
    self.notice = notice
  }

  /// The pause before the first repetition, and the longest.
  private static let pauses: (first: Duration, longest: Duration) = (.milliseconds(250), .seconds(15))

  /// One answer.
  package typealias Answer = CurlRequest.Answer

  /// Sends a request once. `path` begins with a slash, or is a whole URL. One of another origin, such as that of an output
  /// that the server keeps elsewhere, is asked without the token: it is for the server that was named. `sendsToken` is false
  /// for an address that stands for the token.
  ///
  /// Throws `TransferFailure` without an answer, and `ClientFailure` for a URL that cannot be one.
  package func once(
    _ method: HTTPRequest.Method, _ path: String, headers: [(name: String, value: String)] = [],
    body: CurlRequest.Body = .none, limits: CurlRequest.Limits = .init(), sendsToken: Bool = true,
    sink: CurlRequest.Sink? = nil
  ) throws -> Answer {
    var headers = headers
    let url = try url(path)
    if sendsToken, let token, try url.origin == self.url("/").origin {
      headers.append(("Authorization", "Bearer \(token)"))
    }
    return try CurlRequest(
      method, url, headers: headers, body: body, policy: .client(trusting: authorities), limits: limits,
      sink: sink
    ).perform()
  }

  /// Sends a request until there is an answer that is neither a passing fault of the network nor one of the server.
  /// Throws `ClientFailure` with the problem of an answer that is no success.
  @discardableResult
  package func send(
    _ method: HTTPRequest.Method, _ path: String, headers: [(name: String, value: String)] = [], json: Data? = nil,
    accepting: Set<Int> = []
  ) throws -> Answer {
    let headers = headers + (json == nil ? [] : [("Content-Type", "application/json")])
    return try insisting {
      try check(
        try once(method, path, headers: headers, body: json.map { .data($0) } ?? .none), accepting: accepting)
    }
  }

  /// Sends a request and reads the JSON of its answer.
  package func json<Value: Decodable>(
    _ type: Value.Type, _ method: HTTPRequest.Method = .get, _ path: String,
    headers: [(name: String, value: String)] = [], body: Data? = nil
  ) throws -> Value {
    try decode(type, send(method, path, headers: headers, json: body))
  }

  /// Reads the JSON of an answer. Throws `ClientFailure` when the server is no zooport, or one of another age.
  package func decode<Value: Decodable>(_ type: Value.Type, _ answer: Answer) throws -> Value {
    do {
      return try JSONBody.decode(type, from: String(decoding: answer.body, as: UTF8.self))
    } catch {
      throw ClientFailure("\(base) answered what this version of zooport does not understand")
    }
  }

  /// The answer when it is a success. Throws `Transient` for one that may be better later, `ClientFailure` for others.
  package func check(_ answer: Answer, accepting: Set<Int> = []) throws -> Answer {
    let status = answer.head.status
    if (200..<300).contains(status) || accepting.contains(status) { return answer }
    let problem = try? JSONBody.decode(RemoteProblem.self, from: String(decoding: answer.body, as: UTF8.self))
    let failure = problem.map { ClientFailure($0) } ?? ClientFailure(unexpected(answer.head))
    guard [408, 423, 425, 429, 502, 503, 504, 507].contains(status) else { throw failure }
    throw Transient(failure: failure, pause: answer.head.headers[.retryAfter].flatMap { Int($0) }.map { .seconds($0) })
  }

  /// What to say of an answer that no zooport gives. Redirects are not followed: a token is for the server that was named.
  private func unexpected(_ head: CurlRequest.Head) -> String {
    guard (300..<400).contains(head.status), let target = head.headers[.location] else {
      return "\(base) answered \(head.status)"
    }
    return "\(base) answered \(head.status) and points to \(target); if the server is there, name it with --url"
  }

  /// An answer after which another try may succeed.
  struct Transient: Error {
    let failure: ClientFailure
    var pause: Duration?
  }

  /// Runs `body` until it succeeds or fails for good. `body` may tell through `Attempts.progressed` that it got further, which
  /// starts the patience anew.
  package func insisting<Value>(_ body: (Attempts) throws -> Value) throws -> Value {
    let attempts = Attempts()
    var pause = Self.pauses.first
    while true {
      let failure: ClientFailure
      var wanted: Duration?
      do {
        return try body(attempts)
      } catch let transient as Transient {
        (failure, wanted) = (transient.failure, transient.pause)
      } catch let error as TransferFailure where error.mayPass {
        failure = ClientFailure(error.error.message)
      } catch let error as TransferFailure {
        throw ClientFailure(error.error.message)
      }
      if attempts.takeProgress() { pause = Self.pauses.first }
      let rest = patience - (.now - attempts.lastProgress)
      guard rest > .zero else { throw failure }
      notice("\(failure.message); trying again")
      Thread.sleep(forTimeInterval: min(max(pause, wanted ?? .zero), rest).seconds)
      pause = min(pause * 2, Self.pauses.longest)
    }
  }

  /// The same for what makes no progress of its own.
  package func insisting<Value>(_ body: () throws -> Value) throws -> Value { try insisting { _ in try body() } }

  private func url(_ path: String) throws -> SourceURL {
    do {
      return try SourceURL(path.hasPrefix("/") ? base + path : path)
    } catch {
      throw ClientFailure("\(base) is no address of a server: \(error.reason)", exitStatus: 2)
    }
  }
}

/// What a request that is repeated has reached.
package final class Attempts {
  private(set) var lastProgress = ContinuousClock.now
  private var hasProgressed = false

  /// Something was achieved that a repetition need not do again.
  package func progressed() {
    lastProgress = .now
    hasProgressed = true
  }

  fileprivate func takeProgress() -> Bool {
    defer { hasProgressed = false }
    return hasProgressed
  }
}
