import Crypto
import Foundation
import HTTPTypes
import HummingbirdTesting
import Synchronization
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// Uploads in several requests, as tus 1.0.0 has them.
@Suite("tus uploads")
struct TusTests {
  private static let version: HTTPFields = [.tusResumable: "1.0.0"]

  /// Creates an upload and answers its URL.
  private func create(_ client: Client, _ headers: HTTPFields, body: String? = nil) async throws -> String {
    let answer = try await client.send(.post, "/v1/uploads", headers: Self.version + headers, body: body)
    #expect(answer.status == .created)
    #expect(answer.headers[.tusResumable] == "1.0.0")
    return try #require(answer.headers[.location])
  }

  private func patch(
    _ client: Client, _ url: String, at offset: Int, _ body: String, _ more: HTTPFields = [:]
  ) async throws -> Client.Answer {
    let headers: HTTPFields = [.contentType: TusProtocol.contentType, .uploadOffset: String(offset)]
    return try await client.send(.patch, url, headers: Self.version + headers + more, body: body)
  }

  private func head(_ client: Client, _ url: String) async throws -> Client.Answer {
    try await client.send(.head, url, headers: Self.version)
  }

  @Test("Create, send in pieces, ask, finish, use in a job", arguments: [TestingSetup.router, .live])
  func life(_ setup: TestingSetup) async throws {
    let harness = try ServiceHarness()
    try await harness.test(setup) { client async throws in
      // "pytorch_model.bin", and a flag without a value.
      let metadata = "filename cHl0b3JjaF9tb2RlbC5iaW4=,is_private"
      let url = try await create(client, [.uploadLength: "7", .uploadMetadata: metadata])
      let empty = try await head(client, url)
      #expect(empty.status == .ok)
      #expect(empty.headers[.uploadOffset] == "0")
      #expect(empty.headers[.uploadLength] == "7")
      #expect(empty.headers[.uploadMetadata] == metadata)
      #expect(empty.headers[.cacheControl] == "no-store")
      #expect(empty.headers[.uploadExpires]?.hasSuffix(" GMT") == true)

      let first = try await patch(client, url, at: 0, "wei")
      #expect(first.status == .noContent)
      #expect(first.headers[.uploadOffset] == "3")
      #expect(first.headers[.uploadExpires] != nil)
      #expect(try await head(client, url).headers[.uploadOffset] == "3")
      let unfinished = try await client.send(.get, url)
      #expect(unfinished["filename"] == "pytorch_model.bin")
      #expect(unfinished.json["sha256"] is NSNull)
      #expect(unfinished.json["offset"] as? Int == 3)
      #expect(unfinished["expires_at"] != nil)

      let last = try await patch(client, url, at: 3, "ghts")
      #expect(last.status == .noContent)
      #expect(last.headers[.uploadOffset] == "7")
      #expect(last.headers[.uploadExpires] == nil)
      let whole = try await client.send(.get, url)
      #expect(whole["sha256"] == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c")
      let ended = try await head(client, url)
      #expect(ended.headers[.uploadOffset] == "7")
      #expect(ended.headers[.uploadMetadata] == metadata)
      // The answer to the last bytes was lost, and the client asks again.
      #expect(try await patch(client, url, at: 7, "").status == .noContent)
      #expect(try await patch(client, url, at: 3, "ghts").status == .conflict)
      #expect(try harness.files("partial").isEmpty)

      let id = try #require(whole["id"])
      let job = try await client.submit(
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"checkpoint":{"upload":"\#(id)"}}"#)
      let done = try await client.wait(try #require(job["url"]), for: "succeeded")
      let outputs = try #require(done.json["outputs"] as? [[String: Any]])
      #expect(try await client.send(.get, try #require(outputs[1]["url"] as? String)).body == "weights")
    }
  }

  @Test("OPTIONS tells what the service can do")
  func options() async throws {
    try await ServiceHarness { $0.maximumUpload = 12 }.test { client async throws in
      let answer = try await client.send(.options, "/v1/uploads")
      #expect(answer.status == .noContent)
      #expect(answer.headers[.tusVersion] == "1.0.0")
      #expect(answer.headers[.tusMaxSize] == "12")
      #expect(answer.headers[.tusChecksumAlgorithm] == "sha1,sha256")
      #expect(
        answer.headers[.tusExtension]
          == "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination")
    }
  }

  @Test("Creation takes bytes at once, none at all, or the length later", arguments: [TestingSetup.router, .live])
  func creations(_ setup: TestingSetup) async throws {
    try await ServiceHarness().test(setup) { client async throws in
      let whole = try await create(
        client, [.uploadLength: "3", .contentType: TusProtocol.contentType], body: "abc")
      #expect(
        try await client.send(.get, whole)["sha256"]
          == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
      let part = try await create(client, [.uploadLength: "3", .contentType: TusProtocol.contentType], body: "ab")
      #expect(try await head(client, part).headers[.uploadOffset] == "2")
      let none = try await create(client, [.uploadLength: "0"])
      #expect(
        try await client.send(.get, none)["sha256"]
          == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

      let later = try await create(client, [.uploadDeferLength: "1"])
      #expect(try await head(client, later).headers[.uploadDeferLength] == "1")
      #expect(try await patch(client, later, at: 0, "ab").status == .noContent)
      #expect(try await patch(client, later, at: 2, "c", [.uploadLength: "1"]).status == .badRequest)
      #expect(try await patch(client, later, at: 2, "c", [.uploadLength: "4"]).headers[.uploadOffset] == "3")
      #expect(try await patch(client, later, at: 3, "d", [.uploadLength: "5"]).status == .badRequest)
      #expect(try await patch(client, later, at: 3, "d").headers[.uploadOffset] == "4")
      #expect(
        try await client.send(.get, later)["sha256"]
          == "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589")
    }
  }

  @Test("What the protocol refuses, each with its status and without a change")
  func refusals() async throws {
    let harness = try ServiceHarness { $0.maximumUpload = 10 }
    try await harness.test { client async throws in
      let creations: [(HTTPFields, HTTPResponse.Status)] = [
        ([:], .badRequest), ([.uploadLength: "x"], .badRequest), ([.uploadLength: "-1"], .badRequest),
        ([.uploadLength: "99999999999999999999"], .badRequest), ([.uploadDeferLength: "2"], .badRequest),
        ([.uploadLength: "1", .uploadDeferLength: "1"], .badRequest), ([.uploadLength: "11"], .contentTooLarge),
        ([.uploadLength: "1", .uploadMetadata: "filename %%"], .badRequest),
        ([.uploadLength: "1", .uploadMetadata: "a eA==,a eA=="], .badRequest),
        // "../x" and ".x".
        ([.uploadLength: "1", .uploadMetadata: "filename Li4veA=="], .unprocessableContent),
        ([.uploadLength: "1", .uploadMetadata: "filename Lng="], .unprocessableContent),
      ]
      for (headers, status) in creations {
        let answer = try await client.send(.post, "/v1/uploads", headers: Self.version + headers)
        #expect(answer.status == status, "\(headers)")
        #expect(answer.headers[.tusResumable] == "1.0.0")
      }
      let old = try await client.send(.post, "/v1/uploads", headers: [.tusResumable: "0.2.2", .uploadLength: "1"])
      #expect(old.status == .preconditionFailed)
      #expect(old.headers[.tusVersion] == "1.0.0")
      #expect(try await client.send(.post, "/v1/uploads", headers: [.uploadLength: "1"]).status == .preconditionFailed)
      let typed = try await client.send(
        .post, "/v1/uploads", headers: Self.version + [.uploadLength: "1", .contentLength: "1"], body: "x")
      #expect(typed.status == .unsupportedMediaType)
      #expect(try harness.files("partial").isEmpty)

      let url = try await create(client, [.uploadLength: "4"])
      _ = try await patch(client, url, at: 0, "ab")
      #expect(try await patch(client, url, at: 0, "cd").status == .conflict)
      #expect(try await patch(client, url, at: 3, "d").status == .conflict)
      #expect(try await patch(client, url, at: 2, "cde").status == .contentTooLarge)
      let patches: [(HTTPFields, HTTPResponse.Status)] = [
        (Self.version + [.uploadOffset: "2"], .unsupportedMediaType),
        (Self.version + [.contentType: TusProtocol.contentType], .badRequest),
        (Self.version + [.contentType: TusProtocol.contentType, .uploadOffset: "0x2"], .badRequest),
        ([.contentType: TusProtocol.contentType, .uploadOffset: "2"], .preconditionFailed),
      ]
      for (headers, status) in patches {
        #expect(try await client.send(.patch, url, headers: headers, body: "c").status == status, "\(headers)")
      }
      #expect(try await head(client, url).headers[.uploadOffset] == "2")
      #expect(try await client.send(.head, url, headers: [.tusResumable: "2.0.0"]).status == .preconditionFailed)
      let missing = "/v1/uploads/\(Identifier.generate())"
      #expect(try await head(client, missing).status == .notFound)
      #expect(try await head(client, missing).headers[.uploadOffset] == nil)
      #expect(try await patch(client, missing, at: 0, "x").status == .notFound)
      #expect(try await patch(client, "/v1/uploads/x", at: 0, "x").status == .notFound)
    }
  }

  @Test(
    "Concatenation is refused before any part is sent", arguments: ["partial", "final;/v1/uploads/a /v1/uploads/b"])
  func concatenation(_ value: String) async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.send(
        .post, "/v1/uploads", headers: Self.version + [.uploadLength: "3", .uploadConcat: value])
      #expect(answer.status == .badRequest)
      #expect(answer.json["code"] as? String == "malformed_request")
      #expect((answer.json["detail"] as? String)?.contains("concatenation, which this service does not have") == true)
      #expect(answer.headers[.location] == nil)
    }
  }

  @Test("A checksum holds for all bytes of a request or for none of them", arguments: ["sha1", "sha256"])
  func checksum(_ algorithm: String) async throws {
    @Sendable func header(_ text: String) -> HTTPFields {
      let data = Data(text.utf8)
      let digest =
        algorithm == "sha1" ? Data(Insecure.SHA1.hash(data: data)) : Data(SHA256.hash(data: data))
      return [.uploadChecksum: "\(algorithm) \(digest.base64EncodedString())"]
    }
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let url = try await create(client, [.uploadLength: "6"])
      #expect(try await patch(client, url, at: 0, "abc", header("abc")).status == .noContent)
      let wrong = try await patch(client, url, at: 3, "dex", header("def"))
      #expect(wrong.status.code == 460)
      #expect(wrong["code"] == "checksum_mismatch")
      #expect(try await head(client, url).headers[.uploadOffset] == "3")
      for bad in ["crc32 AAAA", "\(algorithm) AAAA", "\(algorithm)", "\(algorithm) %%"] {
        #expect(try await patch(client, url, at: 3, "def", [.uploadChecksum: bad]).status == .badRequest, "\(bad)")
      }
      #expect(try await patch(client, url, at: 3, "def", header("def")).status == .noContent)
      #expect(
        try await client.send(.get, url)["sha256"]
          == "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721")
      // A creation whose bytes are damaged leaves nothing behind.
      let headers: HTTPFields = [.uploadLength: "3", .contentType: TusProtocol.contentType]
      let creation = try await client.send(
        .post, "/v1/uploads", headers: Self.version + headers + header("abc"), body: "abd")
      #expect(creation.status.code == 460)
      #expect(try harness.files("partial").isEmpty)
    }
  }

  @Test("Bytes that came before a connection broke count, and the upload goes on from there")
  func broken() async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      let url = try await create(client, [.uploadLength: "10"])
      try await client.talk { wire in
        wire.send(
          "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n"
            + "Content-Type: application/offset+octet-stream\r\nExpect: 100-continue\r\n\r\n")
        #expect(wire.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
        wire.send("01234")
        Thread.sleep(forTimeInterval: 0.2)
      }
      #expect(try await eventually { try await head(client, url).headers[.uploadOffset] == "5" })
      #expect(try await patch(client, url, at: 5, "56789").headers[.uploadOffset] == "10")
      let digest = SHA256.hash(data: Data("0123456789".utf8)).hexadecimal
      #expect(try await client.send(.get, url)["sha256"] == digest)
    }
  }

  @Test("One request at a time sends to an upload; the others are told to come back")
  func race() async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      let url = try await create(client, [.uploadLength: "10"])
      try await client.talk { first in
        let head =
          "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n"
          + "Content-Type: application/offset+octet-stream\r\n\r\n"
        first.send(head + "0")
        Thread.sleep(forTimeInterval: 0.3)
        guard let port = client.base.port, let second = try? Wire(port: port) else { return }
        second.send(head + "0123456789")
        for byte in ["1", "2", "3", "4"] {
          Thread.sleep(forTimeInterval: 0.2)
          first.send(byte)
        }
        let refused = second.read(until: "}\n")
        #expect(refused.hasPrefix("HTTP/1.1 423 Locked\r\n"), "\(refused)")
        #expect(refused.lowercased().contains("retry-after: 1\r\n"))
        first.send("56789")
        #expect(first.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 204 "))
      }
      #expect(try await head(client, url).headers[.uploadOffset] == "10")
    }
  }

  @Test("A connection that was lost without a word gives way to the next one, and what it brought counts")
  func silent() async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      for asksFirst in [true, false] {
        let url = try await create(client, [.uploadLength: "10"])
        try await client.talk { lost in
          lost.send(
            "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
              + "Content-Length: 10\r\nContent-Type: application/offset+octet-stream\r\n\r\n01234")
          Thread.sleep(forTimeInterval: 0.5)
          guard let port = client.base.port, let next = try? Wire(port: port) else { return }
          let start = ContinuousClock.now
          if asksFirst {
            next.send("HEAD \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n\r\n")
            #expect(next.read(until: "\r\n\r\n").lowercased().contains("upload-offset: 5\r\n"))
          }
          next.send(
            "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 5\r\n"
              + "Content-Length: 5\r\nContent-Type: application/offset+octet-stream\r\n\r\n56789")
          let answer = next.read(until: "\r\n\r\n")
          #expect(answer.hasPrefix("HTTP/1.1 204 "), "\(answer)")
          #expect(ContinuousClock.now - start < .seconds(12))
          #expect(lost.read().isEmpty)
        }
        #expect(
          try await client.send(.get, url)["sha256"] == SHA256.hash(data: Data("0123456789".utf8)).hexadecimal)
      }
    }
  }

  @Test("A reader of somebody else's upload ends nobody's connection")
  func silentForReaders() async throws {
    let harness = try ServiceHarness { $0.visibility = .all }
    let (ann, eve) = (try harness.token("ann"), try harness.token("eve", [.read]))
    try await harness.test(.live) { client in
      let url = try await create(client.with(ann), [.uploadLength: "10"])
      try await client.talk { wire in
        wire.send(
          "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            + "Authorization: \(ann)\r\nContent-Length: 10\r\nContent-Type: application/offset+octet-stream\r\n\r\n01234"
        )
        Thread.sleep(forTimeInterval: 1.2)
        guard let port = client.base.port, let reader = try? Wire(port: port) else { return }
        reader.send("HEAD \(url) HTTP/1.1\r\nHost: localhost\r\nAuthorization: \(eve)\r\n\r\n")
        #expect(reader.read(until: "\r\n\r\n").lowercased().contains("upload-offset: 0\r\n"))
        wire.send("56789")
        #expect(wire.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 204 "))
      }
    }
  }

  @Test(
    "The version is held against every request that names one, and stands on every answer, errors of access included")
  func versions() async throws {
    let harness = try ServiceHarness()
    let ann = try harness.token("ann")
    try await harness.test { client async throws in
      let mine = client.with(ann)
      let urls = [
        try await create(mine, [.uploadLength: "4"]),
        try await create(mine, [.uploadLength: "0"]),
      ]
      for url in urls {
        for method in [HTTPRequest.Method.head, .get, .delete] {
          let answer = try await mine.send(method, url, headers: [.tusResumable: "0.2.2"])
          #expect(answer.status == .preconditionFailed, "\(method) \(url)")
          #expect(answer.headers[.tusVersion] == "1.0.0")
          #expect(answer.headers[.tusResumable] == "1.0.0")
          let stranger = try await client.send(method, url, headers: Self.version)
          #expect(stranger.status == .unauthorized)
          #expect(stranger.headers[.tusResumable] == "1.0.0")
        }
        #expect(try await mine.send(.head, url).status == .ok)
        #expect(try await mine.send(.delete, url).status == .noContent)
      }
      #expect(try await client.send(.options, "/v1/uploads", headers: [.tusResumable: "9"]).status == .noContent)
      #expect(try await client.send(.post, "/v1/jobs").headers[.tusResumable] == nil)
    }
  }

  @Test("Termination ends an upload, also under a request that sends to it")
  func termination() async throws {
    let harness = try ServiceHarness()
    try await harness.test(.live) { client in
      let url = try await create(client, [.uploadLength: "10"])
      try await client.talk { wire in
        wire.send(
          "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n"
            + "Content-Type: application/offset+octet-stream\r\n\r\n01234")
        Thread.sleep(forTimeInterval: 0.3)
        guard let port = client.base.port, let other = try? Wire(port: port) else { return }
        other.send("DELETE \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n\r\n")
        #expect(other.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 204 "))
        wire.send("56789")
        let answer = wire.read(until: "}\n")
        // 404 when the request was slower to begin than the other to end.
        #expect(answer.hasPrefix("HTTP/1.1 410 ") || answer.hasPrefix("HTTP/1.1 404 "), "\(answer)")
      }
      #expect(try await head(client, url).status == .notFound)
      #expect(try await client.send(.delete, url).status == .notFound)
      #expect(try harness.files("partial").isEmpty)
      #expect(try harness.files("uploads").isEmpty)
    }
  }

  @Test("X-HTTP-Method-Override stands for the method on every path of uploads")
  func methodOverride() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await create(client, [.uploadLength: "3"])
      let headers: HTTPFields = [
        .methodOverride: "PATCH", .contentType: TusProtocol.contentType, .uploadOffset: "0",
      ]
      #expect(try await client.send(.post, url, headers: Self.version + headers, body: "ab").status == .noContent)
      #expect(try await head(client, url).headers[.uploadOffset] == "2")
      let asked = try await client.send(.post, url, headers: Self.version + [.methodOverride: "HEAD"])
      #expect(asked.status == .ok)
      #expect(asked.headers[.uploadOffset] == "2")
      #expect(asked.headers[.contentLength] == "0")
      #expect(try await client.send(.post, url, headers: Self.version).status == .methodNotAllowed)
      let creation = try await client.send(
        .put, "/v1/uploads", headers: Self.version + [.methodOverride: "POST", .uploadLength: "1"])
      #expect(creation.status == .created)
      // Elsewhere a method is what it says.
      #expect(
        try await client.send(.post, "/v1/models", headers: [.methodOverride: "GET"]).status == .methodNotAllowed)
      let deletion = try await client.send(.post, url, headers: Self.version + [.methodOverride: "DELETE"])
      #expect(deletion.status == .noContent)
      #expect(try await head(client, url).status == .notFound)
    }
  }

  @Test("An unfinished upload expires after its last bytes: 410 at once, gone with the next round of the janitor")
  func expiration() async throws {
    let harness = try ServiceHarness { $0.retention.partials = .seconds(3) }
    try await harness.test { client async throws in
      let url = try await create(client, [.uploadLength: "3"])
      let janitor = harness.app.janitor
      #expect(try janitor.collect(at: .now).partials.isEmpty)
      try await Task.sleep(for: .milliseconds(3100))
      #expect(try await head(client, url).status == .gone)
      let late = try await patch(client, url, at: 0, "abc")
      #expect(late.status == .gone)
      #expect(late["code"] == "gone")
      #expect(try janitor.collect(at: .now, isDryRun: true).partials.count == 1)
      #expect(try await head(client, url).status == .gone)
      #expect(
        try janitor.collect(at: .now).partials.map(\.description) == [url.split(separator: "/").last.map(String.init)])
      #expect(try await head(client, url).status == .notFound)
      #expect(try harness.files("partial").isEmpty)
    }
  }

  @Test("A new process goes on where the last one stopped, wherever a crash left the file")
  func restart() async throws {
    let folder = try TemporaryFolder()
    let root = folder.path
    let address = Mutex("")
    try await ServiceHarness { $0.dataFolder = root }.test { client async throws in
      let url = try await create(client, [.uploadLength: "10", .uploadMetadata: "filename eC5iaW4="])
      #expect(try await patch(client, url, at: 0, "01234").status == .noContent)
      address.withLock { $0 = url }
    }
    let url = address.withLock { $0 }
    let id = try #require(url.split(separator: "/").last.map(String.init))
    // More was written than was committed, and the file had been moved when the power went.
    let file = root.appending("partial/\(id)/x.bin").string
    try "0123456".write(toFile: file, atomically: false, encoding: .utf8)
    try FileManager.default.moveItem(
      atPath: root.appending("partial/\(id)").string, toPath: root.appending("uploads/\(id)").string)
    try await ServiceHarness { $0.dataFolder = root }.test { client async throws in
      #expect(try await head(client, url).headers[.uploadOffset] == "5")
      // Never more than is there.
      try "01".write(toFile: file, atomically: false, encoding: .utf8)
      #expect(try await head(client, url).headers[.uploadOffset] == "2")
      #expect(try await patch(client, url, at: 2, "23456789").headers[.uploadOffset] == "10")
      #expect(
        try await client.send(.get, url)["sha256"] == SHA256.hash(data: Data("0123456789".utf8)).hexadecimal)
    }
  }

  @Test("An unfinished upload is its owner's, seen and changed as a finished one is, and counts as stored")
  func ownership() async throws {
    let harness = try ServiceHarness { $0.limits.storagePerToken = 10 }
    let ann = try harness.token("ann")
    let bob = try harness.token("bob")
    let reader = try harness.token("eve", [.read])
    try await harness.test { client async throws in
      let url = try await create(client.with(ann), [.uploadLength: "6"])
      for other in [bob, reader] {
        #expect(try await head(client.with(other), url).status == .notFound)
        #expect(try await client.with(other).send(.get, url).status == .notFound)
      }
      #expect(try await patch(client.with(bob), url, at: 0, "abc").status == .notFound)
      #expect(try await client.with(bob).send(.delete, url).status == .notFound)
      #expect(try await patch(client.with(reader), url, at: 0, "abc").status == .forbidden)
      #expect(try await patch(client, url, at: 0, "abc").status == .unauthorized)
      let more = try await client.with(ann).send(
        .post, "/v1/uploads", headers: Self.version + [.uploadLength: "5"])
      #expect(more.status == .insufficientStorage)
      #expect(more["code"] == "limit_reached")
      let later = try await create(client.with(ann), [.uploadDeferLength: "1"])
      let bytes = try await patch(client.with(ann), later, at: 0, "abcde", [.contentLength: "5"])
      #expect(bytes.status == .insufficientStorage)
      // The length counts as soon as it is said.
      let said = try await patch(client.with(ann), later, at: 0, "a", [.uploadLength: "5"])
      #expect(said.status == .insufficientStorage)
      #expect(try await patch(client.with(ann), later, at: 0, "a", [.uploadLength: "4"]).status == .noContent)
      #expect(try await patch(client.with(ann), url, at: 0, "abcdef").status == .noContent)
      #expect(try await client.with(ann).send(.get, url)["sha256"]?.count == 64)
      #expect(try await client.with(bob).send(.get, url).status == .notFound)
      #expect(try await client.with(ann).send(.delete, later).status == .noContent)
    }
  }

  @Test("Lengths that are announced at the same time count each other")
  func announcedAtOnce() async throws {
    let harness = try ServiceHarness { $0.limits.storagePerToken = 20 }
    let ann = try harness.token("ann")
    try await harness.test { client async throws in
      let client = client.with(ann)
      var urls: [String] = []
      for _ in 0..<6 { urls.append(try await create(client, [.uploadDeferLength: "1"])) }
      let answers = try await withThrowingTaskGroup(of: Client.Answer.self) { group in
        for url in urls { group.addTask { try await self.patch(client, url, at: 0, "a", [.uploadLength: "8"]) } }
        return try await group.reduce(into: [Client.Answer]()) { $0.append($1) }
      }
      #expect(answers.filter { $0.status == .noContent }.count == 2)
      #expect(answers.filter { $0.status == .insufficientStorage && $0["code"] == "limit_reached" }.count == 4)
    }
  }

  @Test("A finished upload takes no more bytes, no other length and no wrong checksum, but the last request again")
  func finished() async throws {
    try await ServiceHarness().test(.live) { client in
      let url = try await create(client, [.uploadLength: "4"])
      #expect(try await patch(client, url, at: 0, "abcd").status == .noContent)
      #expect(try await patch(client, url, at: 4, "").headers[.uploadOffset] == "4")
      let empty = "sha256 " + Data(SHA256.hash(data: Data())).base64EncodedString()
      #expect(
        try await patch(client, url, at: 4, "", [.uploadChecksum: empty, .uploadLength: "4"]).status == .noContent)
      #expect(try await patch(client, url, at: 4, "more").status == .contentTooLarge)
      #expect(try await patch(client, url, at: 4, "", [.uploadLength: "999"]).status == .badRequest)
      #expect(try await patch(client, url, at: 4, "", [.uploadChecksum: "sha1 AAAA"]).status == .badRequest)
      let other = "sha256 " + Data(SHA256.hash(data: Data("x".utf8))).base64EncodedString()
      #expect(try await patch(client, url, at: 4, "", [.uploadChecksum: other])["code"] == "checksum_mismatch")
      #expect(try await head(client, url).headers[.uploadLength] == "4")
    }
  }

  @Test("The rules of tus hold however the path is spelled", arguments: ["//v1//uploads", "/v1/upload%73"])
  func spellings(_ path: String) async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.send(.post, path, headers: [.tusResumable: "0.2.2", .uploadLength: "4"])
      #expect(answer.status == .preconditionFailed)
      #expect(answer.headers[.tusResumable] == "1.0.0")
    }
  }

  @Test("Without a length, what has come counts: the next request is refused when it is too much")
  func unknownLength() async throws {
    let harness = try ServiceHarness { $0.limits.storagePerToken = 10 }
    let ann = try harness.token("ann")
    try await harness.test(.live) { client in
      let url = try await create(client.with(ann), [.uploadDeferLength: "1"])
      try await client.talk { wire in
        // In chunks, so that nobody knows before how much comes.
        wire.send(
          "PATCH \(url) HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            + "Authorization: \(ann)\r\nTransfer-Encoding: chunked\r\n"
            + "Content-Type: application/offset+octet-stream\r\n\r\nc\r\n0123456789ab\r\n0\r\n\r\n")
        #expect(wire.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 204 "))
      }
      let more = try await patch(client.with(ann), url, at: 12, "")
      #expect(more.status == .insufficientStorage)
      #expect(more["code"] == "limit_reached")
      #expect(try await head(client.with(ann), url).headers[.uploadOffset] == "12")
    }
  }

  @Test("The disk floor holds for creation and for every request")
  func full() async throws {
    let harness = try ServiceHarness { $0.diskFloor = 1 << 60 }
    try await harness.test { client async throws in
      let answer = try await client.send(.post, "/v1/uploads", headers: Self.version + [.uploadLength: "3"])
      #expect(answer.status.code == 507)
      #expect(answer.headers[.retryAfter] != nil)
      #expect(try harness.files("partial").isEmpty)
    }
  }
}

/// Header fields side by side.
private func + (left: HTTPFields, right: HTTPFields) -> HTTPFields {
  var all = left
  for field in right { all[field.name] = field.value }
  return all
}
