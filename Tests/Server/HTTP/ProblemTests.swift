import Foundation
import HTTPTypes
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Fault and problem")
struct ProblemTests {
  private func json(_ value: some Encodable) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: try JSONBody.encode(value)) as? [String: Any])
  }

  @Test(
    "Every fault has a status of an error, a title, and a type that ends with its code", arguments: FaultCode.allCases)
  func codes(_ code: FaultCode) throws {
    let document = try json(ProblemDocument(Fault(code, "x")))
    #expect(document["type"] as? String == "urn:zooport:problem:\(code.rawValue)")
    #expect(document["code"] as? String == code.rawValue)
    #expect((400..<600).contains(document["status"] as? Int ?? 0))
    #expect((document["title"] as? String)?.isEmpty == false)
    #expect(document["detail"] as? String == "x")
    #expect(Set(document.keys) == ["type", "title", "status", "detail", "code", "diagnostics"])
  }

  @Test(
    "The statuses of the contract",
    arguments: [
      (FaultCode.malformedRequest, 400), (.unauthorized, 401), (.forbidden, 403), (.notFound, 404),
      (.methodNotAllowed, 405),
      (.conflict, 409), (.cancelled, 409), (.gone, 410), (.unsupportedProtocol, 412), (.preconditionFailed, 412),
      (.tooLarge, 413), (.unsupportedMediaType, 415), (.rangeNotSatisfiable, 416), (.invalidRequest, 422),
      (.keysUnmatched, 422), (.locked, 423), (.limitReached, 429), (.checksumMismatch, 460), (.internal, 500),
      (.outputFailed, 500), (.fetchFailed, 502), (.unavailable, 503), (.diskFull, 507),
    ])
  func statuses(_ code: FaultCode, _ status: Int) { #expect(Fault(code, "x").status.code == status) }

  @Test("Every kind of a failed conversion has the code of its name", arguments: ErrorKind.allCases)
  func kinds(_ kind: ErrorKind) { #expect(FaultCode(kind).rawValue == kind.rawValue) }

  @Test("A limit decides between 429 and 507, and whole seconds are what Retry-After can say")
  func limits() throws {
    let queue = Fault(.limitReached, "x", limit: .init(name: .queue, value: 3), retryAfter: .milliseconds(1500))
    let storage = Fault(.limitReached, "x", limit: .init(name: .storagePerToken, value: 9))
    #expect(Problem(queue).status.code == 429)
    #expect(Problem(queue).headers[.retryAfter] == "2")
    #expect(Problem(storage).status.code == 507)
    #expect(Problem(storage).headers[.retryAfter] == nil)
    let limit = try #require(try json(ProblemDocument(queue))["limit"] as? [String: Any])
    #expect(limit["name"] as? String == "queue-limit")
    #expect(limit["value"] as? Int == 3)
  }

  @Test("A stored fault keeps what clients see, and nothing of the log or of the moment")
  func storing() throws {
    let finding = Finding(severity: "error", code: .keysUnmatched, subject: "k", message: "m", rule: "Core/X.swift:1")
    let fault = Fault(
      .keysUnmatched, "x", findings: [finding], limit: .init(name: .queue, value: 1), retryAfter: .seconds(1),
      cause: "/srv/secret")
    let text = try JSONBody.text(fault)
    #expect(
      text == #"{"code":"keys_unmatched","findings":[{"code":"keys_unmatched","message":"m","rule":"Core/X.swift:1","#
        + #""severity":"error","subject":"k"}],"limit":{"name":"queue-limit","value":1},"message":"x"}"#)
    let read = try JSONBody.decode(Fault.self, from: text)
    #expect(read == Fault(.keysUnmatched, "x", findings: [finding], limit: .init(name: .queue, value: 1)))
    #expect("\(fault)" == "keys_unmatched: x (/srv/secret)")
  }
}
