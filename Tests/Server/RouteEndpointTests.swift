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

@Suite("Models, health, unknown paths and methods")
struct RouteEndpointTests {
  @Test("Models by list, name and alias")
  func models() async throws {
    try await ServiceHarness().test { client async throws in
      let list = try await client.send(.get, "/v1/models")
      let models = try #require(list.json["models"] as? [[String: Any]])
      #expect(models.map { $0["name"] as? String } == ["quick", "endless", "broken", "crash", "full", "huge", "most"])
      #expect(models.allSatisfy { $0["conversions"] == nil })
      let lines = try #require(models[0]["lines"] as? [[String: Any]])
      #expect(lines.map { $0["text"] as? String } == ["hf -> cs-1.8"])
      #expect(models[0]["formats"] as? [String] == ["hf", "cs-1.8"])
      for name in ["quick", "swift", "SWIFT"] {
        let model = try await client.send(.get, "/v1/models/\(name)")
        #expect(model["name"] == "quick")
        let pair = try #require((model.json["conversions"] as? [[String: Any]])?.first)
        #expect(pair["src_fmt"] as? String == "hf")
        #expect(pair["tgt_fmt"] as? String == "cs-1.8")
        #expect(pair["note"] as? String == "a note")
        #expect(pair["composed"] as? Bool == false)
      }
      let missing = try await client.send(.get, "/v1/models/nope")
      #expect(missing.status == .notFound)
      #expect(missing["code"] == "unknown_model")
    }
  }

  @Test("Health")
  func health() async throws {
    try await ServiceHarness().test { client async throws in
      #expect(try await client.send(.get, "/healthz")["status"] == "ok")
      #expect(try await client.send(.head, "/healthz").status == .ok)
    }
  }

  @Test(
    "Unknown paths",
    arguments: [
      "/x", "/ui", "/ui/app.js", "/v1", "/v2/jobs", "/v1/jobs/x/y", "/v1/jobs/../models", "/v1/jobs/%6a/outputs",
      "/healthz/x",
    ])
  func notFound(_ path: String) async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.send(.get, path)
      #expect(answer.status == .notFound)
      #expect(answer["code"] == "not_found")
    }
  }

  @Test(
    "A path that is not percent-encoded UTF-8 is malformed",
    arguments: ["/v1/jobs/%", "/v1/jobs/%zz", "/v1/uploads/%ff"])
  func malformed(_ path: String) async throws {
    try await ServiceHarness().test { client async throws in
      #expect(try await client.send(.get, path).status == .badRequest)
    }
  }

  @Test("Known paths with other methods say what they allow")
  func methods() async throws {
    try await ServiceHarness().test { client async throws in
      for (method, path, allowed) in [
        (HTTPRequest.Method.post, "/v1/models", "GET, HEAD"), (.put, "/v1/jobs", "POST, GET, HEAD"),
        (.head, "/v1/jobs/x/events", "GET"),
        (.delete, "/healthz", "GET, HEAD"),
        (.patch, "/v1/jobs/x", "GET, HEAD, DELETE"), (.put, "/v1/uploads", "OPTIONS, POST, GET, HEAD"),
        (.post, "/v1/uploads/x", "HEAD, PATCH, PUT, GET, DELETE"),
        (.put, "/v1/jobs/x/outputs/links", "POST"), (.put, "/v1/jobs/x/outputs/a/links", "POST"),
        (.put, "/v1/jobs/x/outputs/a/b/links", "POST"), (.put, "/v1/jobs/x/outputs/a/b", "GET, HEAD"),
        (.options, "/v1/jobs", "POST, GET, HEAD"), (.init("BREW")!, "/v1/jobs", "POST, GET, HEAD"),
      ] {
        let answer = try await client.send(method, path)
        #expect(answer.status == .methodNotAllowed)
        #expect(answer.headers[.allow] == allowed)
        if method != .head { #expect(answer["code"] == "method_not_allowed") }
      }
    }
  }

  @Test("HEAD answers what GET answers, without the body")
  func heads() async throws {
    try await ServiceHarness().test(.live) { client in
      let url = try await client.start("quick")
      let job = try await client.wait(url, for: "succeeded")
      let output = try #require((job.json["outputs"] as? [[String: Any]])?.first?["url"] as? String)
      for path in [
        "/v1/models", "/v1/models/quick", "/v1/jobs", url, url + "/outputs", output, "/healthz", "/readyz",
        "/openapi.json", "/v1/jobs/x",
      ] {
        let (get, head) = (try await client.send(.get, path), try await client.send(.head, path))
        #expect(head.status == get.status, "\(path)")
        #expect(head.body.isEmpty)
        for name in [HTTPField.Name.contentType, .contentLength, .eTag, .contentDisposition] {
          #expect(head.headers[name] == get.headers[name], "\(path) \(name)")
        }
      }
    }
  }
}
