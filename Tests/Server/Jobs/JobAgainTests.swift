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

@Suite("Jobs that are run again")
struct JobAgainTests {
  private static func names(_ job: Client.Answer) -> [String] {
    (job.json["outputs"] as? [[String: Any]] ?? []).compactMap { $0["sha256"] as? String }
  }

  @Test(
    "A job runs again with the same inputs and options, inline config included, also though an equal one has outputs")
  func again() async throws {
    try await ServiceHarness().test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", "weights")
      let first = try await client.submit(
        """
        {"model": "swift", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": {"inline": {"b":1e-6}},
         "checkpoint": {"upload": "\(upload)"}, "options": {"drop_unmatched_keys": true}}
        """)
      let url = try #require(first["url"])
      let done = try await client.wait(url, for: "succeeded")
      let again = try await client.send(.post, url + "/again")
      #expect(again.status == .accepted)
      let second = try #require(again["url"])
      #expect(second != url)
      #expect(again.headers[.location] == second)
      let redone = try await client.wait(second, for: "succeeded")
      #expect(redone.json["reused"] as? Bool == false)
      #expect(redone["model"] == "swift")
      #expect((redone.json["options"] as? [String: Any])?["drop_unmatched_keys"] as? Bool == true)
      #expect(Self.names(redone) == Self.names(done))
      #expect(Self.names(redone).count == 2)
      // The inline config was handed on byte for byte.
      let output = try #require((redone.json["outputs"] as? [[String: Any]])?.first?["url"] as? String)
      #expect(try await client.send(.get, output).body == #"{"b":1e-6}"#)
      // It counts as an equal job of later ones, as its model's name does.
      let third = try await client.submit(
        """
        {"model": "quick", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": {"inline": {"b":1e-6}},
         "checkpoint": {"upload": "\(upload)"}, "options": {"drop_unmatched_keys": true}}
        """)
      #expect(third.json["reused"] as? Bool == true)
      let fourth = try await client.send(.post, try #require(third["url"]) + "/again")
      #expect(fourth.status == .accepted)
      #expect(fourth.json["reused"] as? Bool == false)
    }
  }

  @Test("A key makes it safe to ask twice; it is of this request alone")
  func keys() async throws {
    try await ServiceHarness().test { client async throws in
      let (url, other) = (try await client.start("quick"), try await client.start("quick"))
      for url in [url, other] { try await client.wait(url, for: "succeeded") }
      let key: HTTPFields = [HTTPField.Name("Idempotency-Key")!: "k"]
      let first = try await client.send(.post, url + "/again", headers: key)
      let second = try await client.send(.post, url + "/again", headers: key)
      #expect(first.status == .accepted)
      #expect(second.status == .ok)
      #expect(first["id"] == second["id"])
      #expect(try await client.send(.post, other + "/again", headers: key)["code"] == "invalid_request")
    }
  }

  @Test("What is gone is said: an upload that was removed, a job that is not there")
  func gone() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("broken")
      let job = try await client.wait(url, for: "failed")
      let checkpoint = ((job.json["inputs"] as? [String: Any])?["checkpoint"] as? [[String: Any]])?.first
      let upload = try #require(checkpoint?["upload"] as? String)
      #expect(try await client.send(.delete, "/v1/uploads/\(upload)").status == .noContent)
      let answer = try await client.send(.post, url + "/again")
      #expect(answer.status == .conflict)
      #expect(answer["detail"]?.contains(upload) == true)
      #expect(try await client.send(.post, "/v1/jobs/\(Identifier.generate())/again").status == .notFound)
    }
  }

  @Test("Only who may change a job may run it again, and owns what comes of it")
  func ownership() async throws {
    let harness = try ServiceHarness { $0.visibility = .all }
    let (ann, mate, ben) = (
      try harness.token("ann", team: "red"), try harness.token("mate", team: "red"), try harness.token("ben")
    )
    try await harness.test { client async throws in
      let url = try await client.with(ann).start("quick")
      try await client.with(ann).wait(url, for: "succeeded")
      #expect(try await client.with(ben).send(.post, url + "/again").status == .forbidden)
      let again = try await client.with(mate).send(.post, url + "/again")
      #expect(again.status == .accepted)
      #expect(again["owner"] == "mate")
    }
  }

  @Test("A webhook and a sealed token come along; the message has an id of its own")
  func secrets() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let secret = "whsec_" + Data(repeating: 1, count: 32).base64EncodedString()
      let first = try await client.submit(
        """
        {"model": "auto", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "checkpoint": {"hub": "a/b", "token": "hf_x"},
         "webhook": {"url": "https://example.org/hook", "secret": "\(secret)"}}
        """)
      let url = try #require(first["url"])
      try await client.send(.post, url + "/cancel")
      let again = try await client.send(.post, url + "/again")
      #expect(again.status == .accepted)
      let id = try #require(Identifier(again["id"] ?? ""))
      let (old, new) = (
        try #require(await harness.app.jobs.job(Identifier(first["id"] ?? "")!)),
        try #require(await harness.app.jobs.job(id))
      )
      #expect(new.checkpoint == old.checkpoint)
      #expect(new.webhook?.target.url == old.webhook?.target.url)
      #expect(new.webhook?.target.id != old.webhook?.target.id)
      #expect(new.fingerprint == nil)
      try await client.send(.post, "/v1/jobs/\(id)/cancel")
    }
  }
}
