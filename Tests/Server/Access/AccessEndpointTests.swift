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

@Suite("Access to endpoints")
struct AccessEndpointTests {
  /// Every route of the table with its captures filled in, as methods and paths.
  private func routes(
    job: String, upload: String
  ) -> [(route: RouteTable.Route, path: String)] {
    RouteTable.all.map { route in
      let path = route.path.split(separator: "/").map { part in
        switch part {
        case "{job}": job
        case "{upload}": route.method == .put ? "x.bin" : upload
        case "{output}": "config_to_cs-1.8.yaml"
        case "{model}": "quick"
        default: String(part)
        }
      }
      return (route, "/" + path.joined(separator: "/"))
    }
  }

  @Test("Every route without, with a wrong, a revoked, an expired and another team's token")
  func everyRoute() async throws {
    let harness = try ServiceHarness { $0.visibility = .team }
    let owner = try harness.token("ann", team: "red")
    let mate = try harness.token("mate", team: "red")
    let stranger = try harness.token("ben", team: "blue")
    let revoked = try harness.token("old", [.admin])
    _ = try harness.app.tokens.revoke("old", at: .now)
    let expired = try harness.token("late", [.admin], expiresAt: Timestamp(milliseconds: 1))
    try await harness.test { anonymous async throws in
      let client = anonymous.with(owner)
      let url = try await client.start("quick")
      try await client.wait(url, for: "succeeded")
      let job = String(url.dropFirst("/v1/jobs/".count))
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let table = routes(job: job, upload: upload)
      #expect(table.contains { $0.path.hasSuffix("/config_to_cs-1.8.yaml") })

      for (route, path) in table {
        let name = "\(route.method) \(path)"
        for (authorization, error) in [
          (nil, nil), ("Bearer zpt_" + String(repeating: "A", count: 43), "invalid_token"),
          (revoked, "invalid_token"), (expired, "invalid_token"), ("Basic YTpi", "invalid_token"),
          (String(owner.dropLast()), "invalid_token"), ("Bearer", "invalid_token"),
        ] {
          let answer = try await anonymous.with(authorization).send(route.method, path)
          guard route.access != .open else {
            #expect(answer.status != .unauthorized, "\(name)")
            continue
          }
          #expect(answer.status == .unauthorized, "\(name) with \(authorization ?? "nothing")")
          let challenge = answer.headers[.wwwAuthenticate] ?? ""
          #expect(challenge.hasPrefix("Bearer realm=\"zooport\""))
          #expect(challenge.contains("error=") == (error != nil))
          if route.method != .head { #expect(answer["code"] == "unauthorized") }
        }
        // Another team's token is told that there is no such thing, by every route that names one.
        if path.contains(job) || path.hasSuffix(upload) {
          let answer = try await anonymous.with(stranger).send(route.method, path, headers: Self.tus)
          #expect(answer.status == .notFound, "\(name)")
          let missing = path.replacing(job, with: Identifier.generate().description)
            .replacing(upload, with: Identifier.generate().description)
          let other = try await anonymous.with(stranger).send(route.method, missing, headers: Self.tus)
          #expect(answer.body.count == other.body.count, "\(name): both answers must be alike")
        }
      }
      // Nothing of it harmed what belongs to the owner; a mate sees and may change it.
      #expect(try await client.send(.get, url)["status"] == "succeeded")
      #expect(try await client.send(.get, url)["owner"] == "ann")
      #expect(try await client.send(.get, url)["team"] == "red")
      #expect(try await anonymous.with(mate).send(.get, url).status == .ok)
      #expect(try await anonymous.with(mate).send(.delete, "/v1/uploads/\(upload)").status == .noContent)
      func listed(_ token: String) async throws -> Int? {
        (try await anonymous.with(token).send(.get, "/v1/jobs").json["jobs"] as? [Any])?.count
      }
      #expect(try await listed(owner) == 1)
      #expect(try await listed(mate) == 1)
      #expect(try await listed(stranger) == 0)
    }
  }

  @Test("Every route asks for its scope, and answers no more than that one is lacking")
  func scopes() async throws {
    let harness = try ServiceHarness()
    let tokens = try Dictionary(
      uniqueKeysWithValues: AccessScope.allCases.map { ($0, try harness.token("t-\($0.rawValue)", [$0])) })
    try await harness.test { client async throws in
      let nothing = Identifier.generate().description
      for (route, path) in routes(job: nothing, upload: nothing) {
        guard case .anyOf(let needed) = route.access else { continue }
        #expect(!needed.isEmpty)
        for scope in AccessScope.allCases {
          let answer = try await client.with(tokens[scope]).send(route.method, path)
          let isAdmitted = needed.contains(scope) || scope == .admin
          #expect((answer.status == .forbidden) != isAdmitted, "\(route.method) \(path) with \(scope)")
          guard !isAdmitted else { continue }
          #expect(answer.headers[.wwwAuthenticate]?.contains("error=\"insufficient_scope\"") == true)
        }
      }
    }
    #expect(RouteTable.all.filter { $0.access == .open }.map(\.path) == Self.open)
  }

  /// What the routes of resumable uploads ask of a request before they look at its upload.
  private static let tus: HTTPFields = [
    .tusResumable: "1.0.0", .uploadOffset: "0", .contentType: "application/offset+octet-stream",
  ]

  /// Whoever adds a route without access control must add it here, too.
  private static let open = [
    "/v1/uploads", "/healthz", "/healthz", "/readyz", "/readyz", "/openapi.json", "/openapi.json",
    "/", "/", "/ui/{version}/{asset}", "/ui/{version}/{asset}",
  ]

  @Test("Under visibility all, others see and may not change; an admin may")
  func seenByAll() async throws {
    let harness = try ServiceHarness { $0.visibility = .all }
    let (ann, ben) = (try harness.token("ann"), try harness.token("ben"))
    let admin = try harness.token("root", [.admin])
    try await harness.test { client async throws in
      let url = try await client.with(ann).start("endless")
      #expect(try await client.with(ben).send(.get, url).status == .ok)
      for (method, path) in [(HTTPRequest.Method.delete, url), (.put, url + "/pin"), (.delete, url + "/pin")] {
        let answer = try await client.with(ben).send(method, path)
        #expect(answer.status == .forbidden)
        #expect(answer["code"] == "forbidden")
      }
      #expect(try await client.with(admin).send(.put, url + "/pin").status == .ok)
      #expect(try await client.with(admin).send(.delete, url)["status"] == "cancelled")
    }
  }

  @Test("Uploads, keys and outputs of others are not used and not revealed")
  func noLeaks() async throws {
    let harness = try ServiceHarness()
    let (ann, ben) = (try harness.token("ann", team: "red"), try harness.token("ben", team: "red"))
    try await harness.test { client async throws in
      func submit(_ token: String, _ upload: String, key: String?, model: String = "quick") async throws
        -> Client.Answer
      {
        var headers: HTTPFields = [.contentType: "application/json"]
        if let key { headers[.idempotencyKey] = key }
        return try await client.with(token).send(
          .post, "/v1/jobs", headers: headers,
          body: #"{"model":"\#(model)","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"#
            + #""checkpoint":{"upload":"\#(upload)"}}"#)
      }
      let annes = try await client.with(ann).upload("pytorch_model.bin", "weights")
      let first = try await submit(ann, annes, key: "k")
      try await client.with(ann).wait(try #require(first["url"]), for: "succeeded")
      let foreign = try await submit(ben, annes, key: nil)
      #expect(foreign.status == .unprocessableContent)
      let unknown = try await submit(ben, Identifier.generate().description, key: nil)
      #expect(foreign.body.count == unknown.body.count)

      // Equal content, the same key: a job of his own that runs.
      let bens = try await client.with(ben).upload("pytorch_model.bin", "weights")
      let second = try await submit(ben, bens, key: "k")
      #expect(second.status == .accepted)
      #expect(second["id"] != first["id"])
      try await client.with(ben).wait(try #require(second["url"]), for: "succeeded")
      #expect(try await submit(ben, bens, key: nil).json["reused"] as? Bool == true)
      #expect(try await submit(ann, annes, key: "k")["id"] == first["id"])
    }
  }

  @Test("The first token closes an open service, and revoking it does not open it again")
  func firstToken() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let url = try await client.start("quick")
      #expect(try await client.send(.get, "/metrics").status == .ok)
      let token = try harness.token("ann", [.submit, .read, .metrics])
      for path in [url, "/metrics", "/v1/models"] {
        #expect(try await client.send(.get, path).status == .unauthorized)
      }
      #expect(try await client.with(token).send(.get, "/metrics").status == .ok)
      // What was made before belongs to nobody.
      #expect(try await client.with(token).send(.get, url).status == .notFound)
      #expect(try await client.send(.get, "/healthz").status == .ok)
      #expect(try await client.send(.get, "/readyz").status == .ok)
      await harness.app.tokenUses.store()
      #expect(try harness.app.tokens.tokens().first?.lastUsedAt != nil)
      _ = try harness.app.tokens.revoke("ann", at: .now)
      #expect(try await client.send(.get, url).status == .unauthorized)
      #expect(try await client.with(token).send(.get, url).status == .unauthorized)
    }
  }

  @Test("A body is not read before its token is known", arguments: [TestingSetup.live])
  func earlyRefusal(_ setup: TestingSetup) async throws {
    let harness = try ServiceHarness { $0.requiresTokens = true }
    try await harness.test(setup) { client async throws in
      #expect(try await client.send(.put, "/v1/uploads/x.bin", body: "weights").status == .unauthorized)
      #expect(try harness.files("uploads").isEmpty)
      #expect(try harness.files("incoming").isEmpty)
    }
  }

  @Test("A client's request id is answered; one that could break a log is replaced")
  func requestIDs() async throws {
    try await ServiceHarness().test { client async throws in
      for id in ["abc-123", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
        #expect(try await client.send(.get, "/healthz", headers: [.xRequestID: id]).headers[.xRequestID] == id)
      }
      for id in ["", "a b", "a\"b", String(repeating: "x", count: 129)] {
        let answer = try await client.send(.get, "/healthz", headers: [.xRequestID: id]).headers[.xRequestID]
        #expect(answer.flatMap(Identifier.init) != nil, "\(id)")
      }
    }
  }

  @Test("Each change has its audit line, with who, what and the request, even where the log is quiet")
  func audit() async throws {
    let lines = LogLines()
    let harness = try ServiceHarness(log: lines.handler(level: .critical)) { $0.visibility = .all }
    let (ann, ben) = (try harness.token("ann"), try harness.token("ben"))
    try await harness.test { client async throws in
      let client = client.with(ann)
      let url = try await client.start("endless")
      try await client.send(.put, url + "/pin")
      try await client.send(.delete, url + "/pin")
      try await client.with(ben).send(.delete, url)
      try await client.send(.delete, url, headers: [.xRequestID: "request-1"])
      try await client.send(.delete, url)
      let upload = try await client.upload("x.bin", "x")
      try await client.send(.delete, "/v1/uploads/\(upload)")
      let audits = lines.all.filter { $0["audit"] as? Bool == true }
      #expect(
        audits.map { $0["action"] as? String } == [
          "upload.create", "job.submit", "job.pin", "job.unpin", "job.cancel", "job.delete", "upload.create",
          "upload.delete",
        ])
      #expect(audits.allSatisfy { $0["token"] as? String == "ann" && $0["request"] is String })
      #expect(audits[4]["subject"] as? String == String(url.dropFirst("/v1/".count)))
      #expect(audits[4]["request"] as? String == "request-1")
      let secret = try #require(ann.split(separator: " ").last)
      #expect(!lines.text.contains(secret))
    }
  }
}
