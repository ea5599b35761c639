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

@Suite("Findings")
struct FindingsTests {
  private func finding(_ index: Int) -> Finding { .init(field: "f\(index)", "message \(index)") }

  @Test("The first are kept in order, the rest is counted, also over several lists")
  func bound() {
    var findings = Findings((0..<3).map(finding), limit: 2)
    #expect(findings.map(\.subject) == ["f0", "f1"])
    #expect(findings.omitted == 1)
    #expect(findings.summary == "message 0; message 1; and 1 more")
    findings += Findings((3..<7).map(finding), limit: 3)
    #expect(findings.count == 2 && findings.omitted == 5)
    #expect(Findings().isEmpty)
    #expect(Findings([finding(0)]).summary == "message 0")
  }

  @Test("A conversion with very many diagnostics shows a thousand of them and says how many there are")
  func conversion() {
    let diagnostics = (0..<1500).map {
      Diagnostic(.error, .keysUnmatched, .tensor("k\($0)"), "Key not matched: k\($0)")
    }
    let fault = Fault(ConversionError(.keysUnmatched, "Unable to match all keys", diagnostics: diagnostics))
    #expect(fault.findings.count == 1000)
    #expect(fault.findings.last?.subject == diagnostics[999].subject.description)
    #expect(fault.message == "Unable to match all keys (500 more diagnostics are left out)")
  }

  @Test(
    "A submission with any number of faults gets a short answer",
    arguments: [
      ("{\"checkpoint\":[" + String(repeating: "0,", count: 9000) + "0]}", "checkpoint", 6),
      ("{" + (0..<5000).map { "\"x\($0)\":0," }.joined() + "\"y\":0}", "x0", 100),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","options":{"#
          + (0..<5000).map { "\"x\($0)\":0," }.joined() + "\"y\":0}}", "options.x0", 100
      ),
    ])
  func flood(_ body: String, _ subject: String, _ count: Int) async throws {
    try await ServiceHarness().test { client async throws in
      for path in ["/v1/jobs", "/v1/plans"] {
        let answer = try await client.send(.post, path, headers: [.contentType: "application/json"], body: body)
        #expect(answer.status == .unprocessableContent)
        let diagnostics = try #require(answer.json["diagnostics"] as? [[String: Any]])
        #expect(diagnostics.count == count)
        #expect(diagnostics.contains { $0["subject"] as? String == subject })
        #expect(answer.body.utf8.count < 64 << 10)
      }
    }
  }

  @Test("An inline config of more than a megabyte is refused; one within it is taken")
  func inlineConfig() async throws {
    try await ServiceHarness().test { client async throws in
      for (bytes, status) in [(1 << 20, HTTPResponse.Status.unprocessableContent), ((1 << 20) - 100, .accepted)] {
        let body =
          #"{"command":"convert-config","model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","reuse":false,"#
          + #""config":{"inline":{"a":""# + String(repeating: "x", count: bytes) + #""}}}"#
        #expect(try await client.submit(body).status == status, "\(bytes)")
      }
    }
  }
}
