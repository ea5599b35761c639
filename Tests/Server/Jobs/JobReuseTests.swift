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

@Suite("Idempotency and reuse")
struct JobReuseTests {
  private func body(_ upload: String, model: String = "quick", extra: String = "") -> String {
    #"{"model":"\#(model)","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{"a":1}},"#
      + #""checkpoint":{"upload":"\#(upload)"}\#(extra)}"#
  }

  private func submit(_ client: Client, _ body: String, key: String? = nil) async throws -> Client.Answer {
    var headers: HTTPFields = [.contentType: "application/json"]
    if let key { headers[.idempotencyKey] = key }
    return try await client.send(.post, "/v1/jobs", headers: headers, body: body)
  }

  @Test("The same key and body is the same job; another body is refused; another key is another job")
  func key() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let first = try await submit(client, body(upload, model: "endless"), key: "k1")
      #expect(first.status == .accepted)
      let again = try await submit(client, body(upload, model: "endless"), key: "k1")
      #expect(again.status == .ok)
      #expect(again["id"] == first["id"])
      #expect(again.headers[.location] == first["url"])
      let other = try await submit(client, body(upload), key: "k1")
      #expect(other.status == .unprocessableContent)
      #expect(other["code"] == "invalid_request")
      let second = try await submit(client, body(upload, model: "endless"), key: "k2")
      #expect(second.status == .accepted)
      #expect(second["id"] != first["id"])

      // A key lives as long as its job.
      let url = try #require(first["url"])
      try await client.send(.delete, url)
      try await client.send(.delete, url)
      let anew = try await submit(client, body(upload, model: "endless"), key: "k1")
      #expect(anew.status == .accepted)
      #expect(anew["id"] != first["id"])
      for answer in [second, anew] { try await client.send(.delete, try #require(answer["url"])) }
    }
  }

  @Test("A submission that comes again is answered though its upload is gone")
  func keyWithoutUpload() async throws {
    try await ServiceHarness().test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let first = try await submit(client, body(upload), key: "k")
      try await client.wait(try #require(first["url"]), for: "succeeded")
      #expect(try await client.send(.delete, "/v1/uploads/\(upload)").status == .noContent)
      #expect(try await submit(client, body(upload), key: "k")["id"] == first["id"])
      #expect(try await submit(client, body(upload), key: "other").status == .unprocessableContent)
    }
  }

  @Test("Of eight equal submissions at once, one is the job")
  func atOnce() async throws {
    try await ServiceHarness().test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let ids = try await withThrowingTaskGroup(of: String?.self) { group in
        for _ in 0..<8 { group.addTask { try await submit(client, body(upload), key: "k")["id"] } }
        return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
      }
      #expect(ids.count == 1)
      #expect((try await client.send(.get, "/v1/jobs").json["jobs"] as? [Any])?.count == 1)
    }
  }

  @Test("A multipart body is the same whatever its boundary, and the files that came again are removed")
  func multipart() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      func send(_ boundary: String, _ weights: String) async throws -> Client.Answer {
        let parts = [
          "name=model\r\n\r\nendless", "name=src_fmt\r\n\r\nhf", "name=tgt_fmt\r\n\r\ncs-1.8",
          "name=config; filename=config.json\r\n\r\n{}", "name=checkpoint; filename=m.bin\r\n\r\n\(weights)",
        ]
        let body =
          parts.map { "--\(boundary)\r\nContent-Disposition: form-data; \($0)\r\n" }.joined() + "--\(boundary)--\r\n"
        return try await client.send(
          .post, "/v1/jobs",
          headers: [.contentType: "multipart/form-data; boundary=\(boundary)", .idempotencyKey: "k"], body: body)
      }
      let first = try await send("a", "weights")
      #expect(first.status == .accepted)
      let again = try await send("b", "weights")
      #expect(again.status == .ok)
      #expect(again["id"] == first["id"])
      #expect(try await send("c", "other").status == .unprocessableContent)
      #expect(try harness.files("uploads").count == 2)
      try await client.send(.delete, try #require(first["url"]))
    }
  }

  @Test("Files that came with a submission which is answered from kept outputs go at once")
  func reusedForm() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      func send() async throws -> Client.Answer {
        let parts = [
          "name=model\r\n\r\nquick", "name=src_fmt\r\n\r\nhf", "name=tgt_fmt\r\n\r\ncs-1.8",
          "name=config; filename=config.json\r\n\r\n{}", "name=checkpoint; filename=m.bin\r\n\r\nweights",
        ]
        let body = parts.map { "--b\r\nContent-Disposition: form-data; \($0)\r\n" }.joined() + "--b--\r\n"
        return try await client.send(
          .post, "/v1/jobs", headers: [.contentType: "multipart/form-data; boundary=b"], body: body)
      }
      try await client.wait(try #require(try await send()["url"]), for: "succeeded")
      let kept = try harness.files("uploads")
      #expect(kept.count == 2)
      let reused = try await send()
      #expect(reused.json["reused"] as? Bool == true)
      #expect(try harness.files("uploads") == kept)
      #expect(
        try await client.send(.get, "\(try #require(reused["url"]))/outputs/pytorch_model_to_cs-1.8.mdl").body
          == "weights")
      let inputs = try #require(reused.json["inputs"] as? [String: Any])
      let id = try #require((inputs["config"] as? [String: Any])?["upload"] as? String)
      #expect(try await client.send(.get, "/v1/uploads/\(id)").status == .notFound)
    }
  }

  @Test("Keys that are none", arguments: ["", "a b", "ä", String(repeating: "x", count: 201)])
  func badKey(_ key: String) async throws {
    try await ServiceHarness().test { client async throws in
      #expect(try await submit(client, "{}", key: key).status == .badRequest)
    }
  }

  @Test("An equal job has the outputs at once, its own, though the first is deleted")
  func reuse() async throws {
    try await ServiceHarness().test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let first = try await client.wait(
        try #require(try await submit(client, body(upload))["url"]), for: "succeeded")
      #expect(first.json["reused"] as? Bool == false)

      // Equal content under another id, and the model by its alias.
      let twin = try await client.upload("pytorch_model.bin", "weights")
      let second = try await submit(client, body(twin, model: "swift"))
      #expect(second.status == .ok)
      #expect(second["status"] == "succeeded")
      #expect(second.json["reused"] as? Bool == true)
      #expect(second.json["attempt"] as? Int == 0)
      #expect(second["id"] != first["id"])
      #expect(second.json["warnings"] as? [String] == ["Key not matched: x"])
      try await client.send(.delete, try #require(first["url"]))
      let url = try #require(second["url"])
      #expect(try await client.send(.get, "\(url)/outputs/pytorch_model_to_cs-1.8.mdl").body == "weights")
      #expect(try await client.send(.get, url).json["reused"] as? Bool == true)
    }
  }

  @Test("What is not equal runs: another name, content, option or config, a failed job, and who asks for it")
  func noReuse() async throws {
    try await ServiceHarness().test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      try await client.wait(try #require(try await submit(client, body(upload))["url"]), for: "succeeded")
      let renamed = try await client.upload("other.bin", "weights")
      let changed = try await client.upload("pytorch_model.bin", "Weights")
      for different in [
        body(renamed), body(changed), body(upload, extra: #","options":{"drop_unmatched_keys":true}"#),
        body(upload).replacing(#"{"a":1}"#, with: #"{"a":1.0}"#), body(upload, extra: #","reuse":false"#),
      ] {
        #expect(try await submit(client, different).status == .accepted, "\(different)")
      }
      let bad = try await submit(client, body(upload, extra: #","reuse":"maybe"#))
      #expect(bad.status == .badRequest)
      #expect(try await submit(client, body(upload, extra: #","reuse":1"#)).status == .unprocessableContent)
      try await client.wait(
        try #require(try await submit(client, body(upload, model: "broken"))["url"]), for: "failed")
      #expect(try await submit(client, body(upload, model: "broken")).status == .accepted)
    }
  }

  @Test("Outputs that are gone are made again")
  func damaged() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let first = try await submit(client, body(upload))
      try await client.wait(try #require(first["url"]), for: "succeeded")
      let id = try #require(first["id"])
      try FileManager.default.removeItem(atPath: harness.folder.path.appending("outputs").appending(id).string)
      let second = try await submit(client, body(upload))
      #expect(second.status == .accepted)
      try await client.wait(try #require(second["url"]), for: "succeeded")
    }
  }
}
