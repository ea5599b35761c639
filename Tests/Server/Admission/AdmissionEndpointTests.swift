import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Limits and fairness")
struct AdmissionEndpointTests {
  private func body(_ upload: String, model: String = "quick") -> String {
    #"{"model":"\#(model)","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{"a":1}},"#
      + #""checkpoint":{"upload":"\#(upload)"}}"#
  }

  private func submit(_ client: Client, _ body: String, key: String? = nil) async throws -> Client.Answer {
    var headers: HTTPFields = [.contentType: "application/json"]
    if let key { headers[.idempotencyKey] = key }
    return try await client.send(.post, "/v1/jobs", headers: headers, body: body)
  }

  /// Checks that an answer is a refusal that names its limit.
  private func expect(_ answer: Client.Answer, _ status: HTTPResponse.Status, _ name: String, _ value: Int) {
    #expect(answer.status == status)
    #expect(answer["code"] == "limit_reached")
    #expect(answer.headers[.retryAfter] == "30")
    let limit = answer.json["limit"] as? [String: Any]
    #expect(limit?["name"] as? String == name)
    #expect(limit?["value"] as? Int == value)
  }

  @Test("A full queue answers 429 with the limit; repeated and reused submissions pass")
  func queue() async throws {
    let harness = try ServiceHarness {
      $0.workers = 1
      $0.limits.queue = 2
    }
    try await harness.test { client async throws in
      let upload = try await client.upload("m.bin", "weights")
      let done = try await submit(client, body(upload))
      try await client.wait(try #require(done["url"]), for: "succeeded")
      var urls: [String] = []
      for index in 0..<3 {
        let answer = try await submit(client, body(upload, model: "endless"), key: "k\(index)")
        #expect(answer.status == .accepted)
        urls.append(try #require(answer["url"]))
        if index == 0 { try await client.wait(urls[0], for: "running") }
      }
      expect(try await submit(client, body(upload, model: "endless")), .tooManyRequests, "queue-limit", 2)
      #expect(try await submit(client, body(upload, model: "endless"), key: "k2").status == .ok)
      #expect(try await submit(client, body(upload)).json["reused"] as? Bool == true)
      #expect((try await client.send(.get, "/v1/jobs?status=queued").json["jobs"] as? [Any])?.count == 2)
      for url in urls.reversed() { try await client.send(.delete, url) }
    }
  }

  @Test("One token's limit on queued jobs is not another's; running jobs of a token wait for each other")
  func perToken() async throws {
    let harness = try ServiceHarness {
      $0.workers = 3
      $0.smallJob = 0
      $0.limits.queuePerToken = 1
      $0.limits.runningPerToken = 1
    }
    let (ann, ben) = (try harness.token("ann"), try harness.token("ben"))
    try await harness.test { client async throws in
      let (ann, ben) = (client.with(ann), client.with(ben))
      let upload = try await ann.upload("m.bin", "weights")
      let first = try #require(try await submit(ann, body(upload, model: "endless"))["url"])
      try await ann.wait(first, for: "running")
      let second = try #require(try await submit(ann, body(upload))["url"])
      expect(try await submit(ann, body(upload, model: "endless")), .tooManyRequests, "token-queue-limit", 1)
      let bens = try await ben.upload("m.bin", "weights")
      let third = try #require(try await submit(ben, body(bens))["url"])
      try await ben.wait(third, for: "succeeded")
      // Two workers are idle, and still it waits for the first job of its owner.
      #expect(try await ann.send(.get, second)["status"] == "queued")
      try await ann.send(.delete, first)
      try await ann.wait(second, for: "succeeded")
    }
  }

  @Test("What a token may store, uploads and expected outputs together")
  func storage() async throws {
    let harness = try ServiceHarness { $0.limits.storagePerToken = 20 }
    let (ann, ben) = (try harness.token("ann"), try harness.token("ben"))
    try await harness.test { client async throws in
      let ann = client.with(ann)
      let upload = try await ann.upload("m.bin", "0123456789a")
      let refused = try await ann.send(.put, "/v1/uploads/n.bin", body: "0123456789")
      expect(refused, .insufficientStorage, "token-storage-limit", 20)
      #expect(try harness.files("uploads").count == 1)
      #expect(try harness.files("incoming").isEmpty)
      // 11 bytes are stored; the outputs would take as many again.
      expect(try await submit(ann, body(upload)), .insufficientStorage, "token-storage-limit", 20)
      let other = try await client.with(ben).upload("m.bin", "0123456789a")
      #expect(other != upload)
      try await ann.send(.delete, "/v1/uploads/\(upload)")
      let small = try await ann.upload("m.bin", "0123456789")
      #expect(try await submit(ann, body(small)).status == .accepted)
    }
  }

  @Test("A small job does not wait behind large ones")
  func smallJobs() async throws {
    let harness = try ServiceHarness {
      $0.workers = 2
      $0.smallJob = 10
    }
    try await harness.test { client async throws in
      let large = try await client.upload("m.bin", "0123456789a")
      var urls: [String] = []
      for _ in 0..<2 { urls.append(try #require(try await submit(client, body(large, model: "endless"))["url"])) }
      try await client.wait(urls[0], for: "running")
      let small = try await client.upload("m.bin", "weights")
      let url = try #require(try await submit(client, body(small))["url"])
      try await client.wait(url, for: "succeeded")
      #expect(try await client.send(.get, urls[1])["status"] == "queued")
      for url in urls.reversed() { try await client.send(.delete, url) }
    }
  }

  @Test("A config that has to be downloaded makes no small job: a server that hangs cannot hold that lane")
  func downloadedConfig() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      func bytes(_ config: String) async throws -> Int? {
        let answer = try await client.submit(
          #"{"command":"convert-config","model":"endless","src_fmt":"hf","tgt_fmt":"cs-1.8","config":\#(config)}"#)
        let url = try #require(answer["url"])
        let job = try await harness.app.jobs.job(try #require(answer["id"].flatMap(Identifier.init)))
        try await client.send(.delete, url)
        return try #require(job).inputBytes
      }
      #expect(try await bytes(#"{"inline":{"a":1}}"#) == 0)
      #expect(try await bytes(#"{"url":"https://192.0.2.1/config.json"}"#) == nil)
      #expect(try await bytes(#"{"hub":"owner/name"}"#) == nil)
    }
  }

  @Test("Jobs wait for memory though a worker is idle")
  func memory() async throws {
    let harness = try ServiceHarness {
      $0.workers = 2
      $0.smallJob = 0
      $0.memoryBudget = 16 << 20
      $0.totalMemory = 31 << 20
    }
    try await harness.test { client async throws in
      let first = try await client.start("endless")
      try await client.wait(first, for: "running")
      let second = try await client.start("quick")
      try await Task.sleep(for: .milliseconds(500))
      #expect(try await client.send(.get, second)["status"] == "queued")
      try await client.send(.delete, first)
      try await client.wait(second, for: "succeeded")
    }
  }

  @Test("With a full disk nothing new is taken, but what is there already is answered")
  func lowDisk() async throws {
    let folder = try TemporaryFolder()
    var upload = ""
    var known: Set<String> = []
    let form =
      [
        "name=model\r\n\r\nquick", "name=src_fmt\r\n\r\nhf", "name=tgt_fmt\r\n\r\ncs-1.8", "name=reuse\r\n\r\nfalse",
        "name=config; filename=config.json\r\n\r\n{}", "name=checkpoint; filename=m.bin\r\n\r\nweights",
      ].map { "--b\r\nContent-Disposition: form-data; \($0)\r\n" }.joined() + "--b--\r\n"
    @Sendable func send(_ client: Client, _ form: String) async throws -> Client.Answer {
      try await client.send(
        .post, "/v1/jobs", headers: [.contentType: "multipart/form-data; boundary=b", .idempotencyKey: "f"], body: form)
    }
    do {
      let harness = try ServiceHarness(in: folder)
      try await harness.test { client async throws in
        let id = try await client.upload("m.bin", "weights")
        let job = try await submit(client, body(id), key: "k")
        try await client.wait(try #require(job["url"]), for: "succeeded")
        let stored = try harness.files("uploads")
        #expect(stored == [id])
        try await client.wait(try #require(try await send(client, form)["url"]), for: "succeeded")
      }
      upload = try #require(try harness.files("uploads").first)
      known = Set(try harness.files("outputs"))
    }
    let harness = try ServiceHarness(in: folder) { $0.diskFloor = .max }
    try await harness.test { [upload, known, form] client async throws in
      let repeated = try await submit(client, body(upload), key: "k")
      #expect(repeated.status == .ok)
      #expect(known.contains(repeated["id"] ?? ""))
      // A form with files, which are read and not stored.
      let sent = try await send(client, form)
      #expect(sent.status == .ok)
      #expect(known.contains(sent["id"] ?? ""))
      #expect(try await send(client, form.replacing("weights", with: "Weights")).status == .unprocessableContent)
      #expect(try harness.files("uploads").count == 3)
      #expect(try harness.files("incoming").isEmpty)
      let reused = try await submit(client, body(upload))
      #expect(reused.status == .ok)
      #expect(reused.json["reused"] as? Bool == true)
      let new = try await submit(client, body(upload, model: "broken"))
      #expect(new.status == .insufficientStorage)
      #expect(new["code"] == "disk_full")
      #expect(new.headers[.retryAfter] != nil)
      #expect(try await client.send(.put, "/v1/uploads/x", body: "x").status == .insufficientStorage)
    }
  }

  @Test("A job whose plan needs more than the disk has waits for another attempt before it writes")
  func plan() async throws {
    let harness = try ServiceHarness { $0.retry = RetryPolicy(retries: 1, delay: .seconds(900)) }
    try await harness.test { client async throws in
      let url = try await client.start("huge")
      let reached = try await eventually { try await client.send(.get, url).json["not_before"] is String }
      #expect(reached)
      let error = try await client.send(.get, url).json["error"] as? [String: Any]
      #expect(error?["code"] as? String == "disk_full")
      #expect((error?["detail"] as? String)?.contains("\(1 << 60) bytes") == true)
      try await client.send(.delete, url)
    }
  }

  @Test("Two jobs that the disk cannot hold together run one after the other, without using up a retry")
  func room() async throws {
    let harness = try ServiceHarness {
      $0.retry = RetryPolicy(retries: 0, delay: .milliseconds(100))
      $0.smallJob = 0
      $0.diskFloor = 0
    }
    try await harness.test { client async throws in
      let first = try await client.start("most")
      let isWriting = try await eventually {
        let progress = try await client.send(.get, first).json["progress"] as? [String: Any]
        return (progress?["bytes_total"] as? Int ?? 0) > 1 << 20
      }
      #expect(isWriting)
      let second = try await client.start("most")
      let waits = try await eventually {
        let job = try await client.send(.get, second)
        return job["status"] == "queued" && job.json["attempt"] as? Int ?? 0 > 2
      }
      #expect(waits)
      let isSaid = try await eventually {
        let error = try await client.send(.get, second).json["error"] as? [String: Any]
        return (error?["detail"] as? String)?.contains("other jobs") == true
      }
      #expect(isSaid)
      #expect(try await client.send(.get, first)["status"] == "running")
      try await client.send(.delete, first)
      let isWritingToo = try await eventually {
        let job = try await client.send(.get, second)
        let total = (job.json["progress"] as? [String: Any])?["bytes_total"] as? Int ?? 0
        return job["status"] == "running" && total > 1 << 20
      }
      #expect(isWritingToo)
      try await client.send(.delete, second)
    }
  }

  @Test("What a download makes is held against its owner's limit as soon as the plan tells it, and not tried again")
  func storageOfDownloads() async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "weights")) }
    defer { server.stop() }
    let harness = try ServiceHarness {
      $0.limits.storagePerToken = 1 << 40
      $0.egress = (try? EgressPolicy(allowing: ["127.0.0.1"])) ?? $0.egress
    }
    let (ann, team) = (try harness.token("ann"), try harness.token("metrics", [.metrics]))
    try await harness.test { client async throws in
      let answer = try await client.with(ann).submit(
        #"{"model":"huge","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"#
          + #""checkpoint":{"url":"http://127.0.0.1:\#(server.port)/m.bin"}}"#)
      #expect(answer.status == .accepted)
      let job = try await client.with(ann).wait(try #require(answer["url"]), for: "failed")
      #expect(job.json["attempt"] as? Int == 1)
      let error = job.json["error"] as? [String: Any]
      #expect(error?["code"] as? String == "limit_reached")
      #expect((error?["limit"] as? [String: Any])?["name"] as? String == "token-storage-limit")
      let metrics = try await client.with(team).send(.get, "/metrics").body
      #expect(metrics.contains(#"zooport_job_errors_total{code="limit_reached"} 1"#))
    }
  }

  @Test("Uploads that begin at the same time count each other, and the outputs of jobs that wait count, too")
  func storageAtOnce() async throws {
    let harness = try ServiceHarness {
      $0.workers = 1
      $0.limits.storagePerToken = 40
    }
    let ann = try harness.token("ann")
    try await harness.test { client async throws in
      let ann = client.with(ann)
      let answers = try await withThrowingTaskGroup(of: Client.Answer.self) { group in
        for index in 0..<8 {
          group.addTask {
            try await ann.send(
              .post, "/v1/uploads",
              headers: [
                .tusResumable: "1.0.0", .uploadLength: "10",
                .uploadMetadata: "filename " + Data("\(index).bin".utf8).base64EncodedString(),
              ])
          }
        }
        return try await group.reduce(into: [Client.Answer]()) { $0.append($1) }
      }
      #expect(answers.filter { $0.status == .created }.count == 4)
      for answer in answers where answer.status != .created {
        expect(answer, .insufficientStorage, "token-storage-limit", 40)
      }
      for answer in answers {
        guard let url = answer.headers[.location] else { continue }
        try await ann.send(.delete, url, headers: [.tusResumable: "1.0.0"])
      }
      let upload = try await ann.upload("m.bin", "0123456789")
      let job = try await submit(ann, body(upload, model: "endless"))
      #expect(job.status == .accepted)
      // 10 bytes are there, 10 are expected, and 21 are no more to come.
      let refused = try await ann.send(.put, "/v1/uploads/n.bin", body: "0123456789" + "0123456789a")
      expect(refused, .insufficientStorage, "token-storage-limit", 40)
      try await ann.send(.delete, try #require(job["url"]))
      #expect(try await ann.send(.put, "/v1/uploads/n.bin", body: "0123456789" + "0123456789a").status == .created)
    }
  }

  @Test("The memory of all jobs must take one of each kind")
  func settings() throws {
    let flags = ["workers": "2", "memory-budget": "256MiB", "small-job": "64MiB"]
    do {
      _ = try Settings(flags: flags.merging(["total-memory": "383MiB"]) { $1 }, environment: [:])
      Issue.record("accepted")
    } catch {
      #expect(error.description.contains("--total-memory is 383MiB"))
      #expect(error.description.contains("384MiB"))
    }
    let settings = try Settings(flags: flags.merging(["total-memory": "384MiB"]) { $1 }, environment: [:])
    #expect(settings.totalMemory == 384 << 20)
    let unlimited = try Settings(
      flags: ["queue-limit": "0", "token-queue-limit": "0", "token-storage-limit": "1GiB"], environment: [:])
    #expect(unlimited.limits.queue == nil)
    #expect(unlimited.limits.queuePerToken == nil)
    #expect(unlimited.limits.storagePerToken == 1 << 30)
  }
}
