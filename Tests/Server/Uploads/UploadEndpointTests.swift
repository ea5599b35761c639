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

@Suite("Upload endpoints")
struct UploadEndpointTests {
  @Test("Put, get, head, delete", arguments: [TestingSetup.router, .live])
  func life(_ setup: TestingSetup) async throws {
    let harness = try ServiceHarness()
    try await harness.test(setup) { client async throws in
      let content = String(repeating: "0123456789", count: 300_000)
      let put = try await client.send(.put, "/v1/uploads/my%20model.bin", body: content)
      #expect(put.status == .created)
      #expect(put["filename"] == "my model.bin")
      #expect(put.json["size"] as? Int == 3_000_000)
      #expect(put["sha256"] == "6ca41633343f162f0f0604879eeac607e5e5087adeee2e4247199301968790d0")
      let url = try #require(put["url"])
      #expect(put.headers[.location] == url)
      #expect(try await client.send(.get, url).json["id"] as? String == put["id"])
      let head = try await client.send(.head, url)
      #expect(head.status == .ok)
      #expect(head.body.isEmpty)
      #expect(try await client.send(.delete, url).status == .noContent)
      #expect(try await client.send(.get, url).status == .notFound)
      #expect(try await client.send(.delete, url).status == .notFound)
      #expect(try harness.files("uploads").isEmpty)
    }
  }

  @Test(
    "The digest is that of the content",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ])
  func digest(_ content: String, _ sha256: String) async throws {
    try await ServiceHarness().test { client async throws in
      let id = try await client.upload("x", content)
      #expect(try await client.send(.get, "/v1/uploads/\(id)")["sha256"] == sha256)
    }
  }

  @Test(
    "Names that are no file names are refused", arguments: ["..%2Fx", "%2e%2e", ".hidden", "a%00b", "a%5Cb", "a%0Ab"])
  func names(_ name: String) async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let answer = try await client.send(.put, "/v1/uploads/\(name)", body: "x")
      #expect(answer.status == .unprocessableContent)
    }
    #expect(try harness.files("uploads").isEmpty)
    #expect(try harness.files("incoming").isEmpty)
  }

  @Test("A body over the limit is refused, announced or not")
  func limit() async throws {
    let harness = try ServiceHarness { $0.maximumUpload = 10 }
    try await harness.test { client async throws in
      #expect(try await client.send(.put, "/v1/uploads/x", body: "0123456789").status == .created)
      let answer = try await client.send(.put, "/v1/uploads/x", body: "0123456789a")
      #expect(answer.status == .contentTooLarge)
      #expect(answer["code"] == "too_large")
    }
    #expect(try harness.files("incoming").isEmpty)
  }

  @Test("What is not the file itself is refused: a coded body, a part of one")
  func notTheFile() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let coded = try await client.send(.put, "/v1/uploads/x", headers: [.contentEncoding: "gzip"], body: "abc")
      #expect(coded.status == .unsupportedMediaType)
      #expect(coded.headers[.acceptEncoding] == "identity")
      let part = try await client.send(.put, "/v1/uploads/x", headers: [.contentRange: "bytes 0-2/10"], body: "abc")
      #expect(part.status == .badRequest)
      let plain = try await client.send(.put, "/v1/uploads/x", headers: [.contentEncoding: "identity"], body: "abc")
      #expect(plain.status == .created)
    }
    #expect(try harness.files("uploads").count == 1)
  }

  @Test("An upload that a waiting job needs stays")
  func inUse() async throws {
    try await ServiceHarness().test { client async throws in
      let id = try await client.upload("pytorch_model.bin", "x")
      let job = try await client.submit(
        #"{"model":"endless","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"checkpoint":{"upload":"\#(id)"}}"#
      )
      let url = try #require(job["url"])
      let answer = try await client.send(.delete, "/v1/uploads/\(id)")
      #expect(answer.status == .conflict)
      #expect(answer["code"] == "conflict")
      try await client.send(.delete, url)
      #expect(try await client.send(.delete, "/v1/uploads/\(id)").status == .noContent)
    }
  }
}
