import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Links to downloads, and who asks")
struct DownloadLinkTests {
  @Test("A link downloads its output without a token, whole or in part, and nothing else")
  func link() async throws {
    let harness = try ServiceHarness()
    let ann = try harness.token("ann")
    try await harness.test(.live) { anonymous async throws in
      let client = anonymous.with(ann)
      let url = try await client.start("quick")
      try await client.wait(url, for: "succeeded")
      let path = url + "/outputs/config_to_cs-1.8.yaml"
      let answer = try await client.send(.post, path + "/links")
      #expect(answer.status == .created)
      let link = try #require(answer["url"])
      #expect(link.hasPrefix(path + "?link="))
      let expiry = try #require(Timestamp(text: answer["expires_at"] ?? ""))
      #expect(abs(expiry.milliseconds - Timestamp.now.milliseconds - 3_600_000) < 60_000)

      let whole = try await client.send(.get, path)
      let file = try await anonymous.send(.get, link)
      #expect(file.status == .ok)
      #expect(file.body == whole.body)
      #expect(file.headers[.contentDisposition] == whole.headers[.contentDisposition])
      #expect(try await anonymous.send(.head, link).status == .ok)
      let part = try await anonymous.send(.get, link, headers: [.range: "bytes=1-3"])
      #expect(part.status == .partialContent)
      #expect(part.body == String(whole.body.dropFirst().prefix(3)))
      // The same path spelt otherwise is the same path.
      let query = try #require(link.split(separator: "?").last)
      #expect(try await anonymous.send(.get, path.replacing("yaml", with: "%79aml") + "?\(query)").status == .ok)

      let archive = try #require(try await client.send(.post, url + "/outputs/links")["url"])
      #expect(try await anonymous.send(.get, archive).headers[.contentType] == "application/x-tar")

      for (method, uri) in [
        (HTTPRequest.Method.get, url + "?\(query)"), (.get, url + "/outputs?\(query)"), (.get, "/v1/jobs?\(query)"),
        (.get, url + "/outputs/pytorch_model_to_cs-1.8.mdl?\(query)"), (.delete, url + "?\(query)"),
        (.post, path + "/links?\(query)"), (.get, path), (.get, path + "?link="), (.get, path + "?link=1.2.3"),
        (.get, String(link.dropLast()) + (link.last == "0" ? "1" : "0")),
        (.get, link.replacing("?link=1", with: "?link=2")),
      ] {
        let refused = try await anonymous.send(method, uri)
        #expect(refused.status == .unauthorized, "\(method) \(uri)")
      }
    }
  }

  @Test("A link ends with its token, with its time, and with the job; it shows no more than the token sees")
  func ends() async throws {
    let harness = try ServiceHarness()
    let (ann, ben) = (try harness.token("ann"), try harness.token("ben"))
    let writer = try harness.token("writer", [.submit])
    try await harness.test { anonymous async throws in
      let client = anonymous.with(ann)
      let url = try await client.start("quick")
      let job = try await client.wait(url, for: "succeeded")
      let path = url + "/outputs/config_to_cs-1.8.yaml"
      #expect(try await anonymous.with(ben).send(.post, path + "/links").status == .notFound)
      #expect(try await anonymous.with(writer).send(.post, path + "/links").status == .forbidden)
      #expect(try await client.send(.post, url + "/outputs/nothing/links").status == .notFound)
      #expect(try await client.send(.post, url + "/outputs/a/b/links").status == .notFound)

      let vault = try SecretVault(keyFile: harness.app.data.tokenKey)
      let links = DownloadLinks(vault: vault, tokens: harness.app.tokens)
      let token = try #require(try harness.app.tokens.tokens().first { $0.name == "ann" })
      let old = links.link(to: path, for: token, at: Timestamp.now.advanced(by: .seconds(-3601)))
      let late = try await anonymous.send(.get, old.url)
      #expect(late.status == .unauthorized)
      #expect(late["detail"]?.contains("expired") == true)
      // One that was made while there were no tokens.
      let nobody = links.link(to: path, for: nil, at: .now)
      #expect(try await anonymous.send(.get, nobody.url).status == .unauthorized)
      // One of another service.
      let foreign = DownloadLinks(vault: SecretVault(), tokens: harness.app.tokens).link(to: path, for: token, at: .now)
      #expect(try await anonymous.send(.get, foreign.url).status == .unauthorized)

      let link = try #require(try await client.send(.post, path + "/links")["url"])
      #expect(try await anonymous.send(.get, link).status == .ok)
      _ = try harness.app.tokens.revoke("ann", at: .now)
      let revoked = try await anonymous.send(.get, link)
      #expect(revoked.status == .unauthorized)
      #expect(revoked["detail"] == "the token was revoked")
      #expect(job["owner"] == "ann")
    }
  }

  @Test("A link is audited, and its secret is in no line of the log")
  func audit() async throws {
    let lines = LogLines()
    let harness = try ServiceHarness(log: lines.handler(level: .trace))
    let ann = try harness.token("ann")
    try await harness.test { client async throws in
      let url = try await client.with(ann).start("quick")
      try await client.with(ann).wait(url, for: "succeeded")
      let answer = try await client.with(ann).send(.post, url + "/outputs/config_to_cs-1.8.yaml/links")
      let link = try #require(answer["url"])
      #expect(try await client.send(.get, link).status == .ok)
      let subject = String(url.dropFirst("/v1/".count)) + "/outputs/config_to_cs-1.8.yaml"
      let audited = lines.all.filter { $0["action"] as? String == "output.link" }
      #expect(audited.count == 1)
      #expect(audited.first?["subject"] as? String == subject)
      #expect(audited.first?["token"] as? String == "ann")
      let signature = try #require(link.split(separator: ".").last)
      #expect(!lines.text.contains(signature))
    }
  }

  @Test("Without access control links and /v1/me work as well")
  func open() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("quick")
      try await client.wait(url, for: "succeeded")
      let link = try #require(try await client.send(.post, url + "/outputs/config_to_cs-1.8.yaml/links")["url"])
      #expect(try await client.send(.get, link).status == .ok)
      let me = try await client.send(.get, "/v1/me")
      #expect(me.json["token"] is NSNull)
      #expect(me.json["scopes"] as? [String] == ["submit", "read", "metrics", "admin"])
      #expect(me.json["stored_bytes"] is NSNull)
      #expect((me.json["free_bytes"] as? Int ?? 0) > 0)
    }
  }

  @Test("/v1/me says who asks, and what limits hold")
  func me() async throws {
    let harness = try ServiceHarness {
      $0.limits.storagePerToken = 1000
      $0.visibility = .team
    }
    let ann = try harness.token(
      "ann", [.read, .submit], team: "red", expiresAt: Timestamp(milliseconds: 4_000_000_000_000))
    try await harness.test { anonymous async throws in
      let client = anonymous.with(ann)
      _ = try await client.upload("x.bin", "weights")
      let me = try await client.send(.get, "/v1/me")
      #expect(me["token"] == "ann")
      #expect(me["team"] == "red")
      #expect(me["visibility"] == "team")
      #expect(me["expires_at"] == "2096-10-02T07:06:40.000Z")
      #expect(me.json["scopes"] as? [String] == ["submit", "read"])
      #expect(me.json["stored_bytes"] as? Int == 7)
      let limits = try #require(me.json["limits"] as? [String: Any])
      #expect(limits["token_storage_limit"] as? Int == 1000)
      #expect(limits["token_running_limit"] is NSNull)
      #expect(limits["max_upload"] as? Int == 200 << 30)
    }
  }
}
