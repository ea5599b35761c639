import Foundation
import HTTPTypes
import HummingbirdTesting
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Description of the API")
struct OpenAPITests {
  private func object(_ value: Any?) -> [String: Any] { value as? [String: Any] ?? [:] }

  @Test("Every route is in it, with its parameters, scopes and answers; nothing else is")
  func routes() async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.send(.get, "/openapi.json")
      #expect(answer.status == .ok)
      #expect(answer.headers[.contentType] == "application/json")
      #expect(answer["openapi"] == "3.1.0")
      let paths = object(answer.json["paths"])
      var described: Set<String> = []
      for (path, methods) in paths { for method in object(methods).keys { described.insert("\(method) \(path)") } }
      #expect(described == Set(RouteTable.all.map { "\($0.method.rawValue.lowercased()) \($0.path)" }))
      #expect(described.count == RouteTable.all.count, "a row stands twice")

      var ids: [String] = []
      for route in RouteTable.all {
        let operation = object(object(paths[route.path])[route.method.rawValue.lowercased()])
        ids.append(try #require(operation["operationId"] as? String))
        #expect((operation["summary"] as? String)?.hasSuffix(".") == true, "\(route.path)")
        let parameters = (operation["parameters"] as? [[String: Any]] ?? [])
        let captured = Set(
          route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map { $0.dropFirst().dropLast() })
        #expect(
          Set(
            parameters.filter { $0["in"] as? String == "path" }.map { $0["name"] as? String ?? "" }[...].map { $0[...] }
          ) == captured)
        #expect((operation["security"] as? [Any])?.isEmpty == (route.access == .open))
        let statuses = Set(object(operation["responses"]).keys.compactMap(Int.init))
        #expect(statuses == route.statuses)
        #expect(statuses.contains { $0 < 300 })
        if route.access != .open { #expect(statuses.isSuperset(of: [401, 403])) }
      }
      #expect(Set(ids).count == ids.count, "generated clients need unique names")
    }
  }

  @Test("Every reference leads to a schema, and every schema is used")
  func references() throws {
    let text = String(decoding: OpenAPIDocument.bytes, as: UTF8.self)
    let parts = text.split(separator: "#/components/schemas/").dropFirst()
    let used = Set(parts.map { String($0.prefix { $0.isLetter }) })
    #expect(used == Set(SchemaName.allCases.map(\.rawValue)))
  }

  @Test("Every code has one status wherever it stands, but a limit")
  func codes() {
    var statuses: [String: Set<Int>] = [:]
    for route in RouteTable.all {
      for refusal in route.refusals {
        for code in refusal.codes { statuses[code.rawValue, default: []].insert(refusal.status) }
      }
    }
    #expect(statuses.removeValue(forKey: "limit_reached") == [429, 507])
    // A model in a path is a resource, one in a submission is a field.
    #expect(statuses.removeValue(forKey: "unknown_model") == [404, 422])
    for (code, all) in statuses { #expect(all.count == 1, "\(code)") }
  }

  @Test("Documents of every kind fit their schemas")
  func documents() async throws {
    let harness = try ServiceHarness()
    let token = try harness.token("ann", [.admin], team: "red")
    // The client holds each answer against the description.
    try await harness.test { client async throws in
      let client = client.with(token)
      let done = try await client.start("quick")
      try await client.wait(done, for: "succeeded")
      let failed = try await client.start("broken")
      try await client.wait(failed, for: "failed")
      let running = try await client.start("endless")
      try await client.wait(running, for: "running")
      let url = try await client.submit(
        #"{"command":"convert-config","model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","#
          + #""config":{"url":"https://example.org/config.json?sig=1"},"options":{"max_shard_size":null}}"#)
      #expect(url.status == .accepted)
      for uri in [
        "/v1/jobs", "/v1/jobs?limit=1", "/v1/models", "/v1/models/quick", "/healthz", "/readyz", "/metrics",
        "/v1/jobs?limit=0&status=x", done + "/outputs", done + "/outputs/config_to_cs-1.8.yaml", done + "/outputs/x",
      ] {
        try await client.send(.get, uri)
      }
      for url in [running, try #require(url["url"])] { try await client.send(.delete, url) }
    }
  }

  @Test("The validator sees what is wrong")
  func validator() {
    let schema = JSONSchema.object(["a": .count, "b": JSONSchema.choice(["x"]).orNull], optional: ["b"]).json
    for (document, count) in [
      (["a": 1], 0), (["a": 1, "b": "x"], 0), (["a": 1, "b": NSNull()], 0), ([:], 1), (["a": -1], 1), (["a": 1.5], 1),
      (["a": 1, "b": "y"], 1), (["a": 1, "c": 1], 1), (["a": "1"], 2),
    ] as [([String: Any], Int)] {
      #expect(SchemaValidator.problems(document, schema).count == count, "\(document)")
    }
  }

  @Test("docs/reference.md is what `zooport openapi --markdown` prints")
  func page() throws {
    let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
      .removingLastComponent()
    let text = try String(contentsOfFile: root.appending("docs/reference.md").string, encoding: .utf8)
    #expect(text == ReferencePage.markdown, "write it again: zooport openapi --markdown > docs/reference.md")
  }
}
