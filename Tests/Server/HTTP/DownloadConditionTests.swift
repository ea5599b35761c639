import Foundation
import HTTPTypes
import HummingbirdTesting
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Conditions on downloads")
struct DownloadConditionTests {
  @Test("If-Match answers the file for its tag alone, and If-Unmodified-Since is ignored where nothing has a date")
  func ifMatch() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("quick")
      let job = try await client.wait(url, for: "succeeded")
      let output = try #require((job.json["outputs"] as? [[String: Any]])?.last?["url"] as? String)
      let tag = try #require(try await client.send(.get, output).headers[.eTag])
      for (condition, status) in [
        (tag, HTTPResponse.Status.ok), ("*", .ok), ("\"x\", \(tag)", .ok), ("\"x\"", .preconditionFailed),
        ("W/\(tag)", .preconditionFailed), (String(tag.dropFirst().dropLast()), .preconditionFailed),
      ] {
        for method in [HTTPRequest.Method.get, .head] {
          let answer = try await client.send(method, output, headers: [.ifMatch: condition, .range: "bytes=0-"])
          #expect(answer.status == (method == .get && status == .ok ? .partialContent : status), "\(condition)")
          #expect(answer.headers[.eTag] == tag)
          if method == .get, status != .ok { #expect(answer["code"] == "precondition_failed") }
        }
      }
      let old = "Sat, 01 Jan 2000 00:00:00 GMT"
      #expect(try await client.send(.get, output, headers: [.ifUnmodifiedSince: old]).status == .ok)
    }
  }
}
