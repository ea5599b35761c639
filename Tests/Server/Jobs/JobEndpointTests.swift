import Foundation
import HTTPTypes
import HummingbirdTesting
import SystemPackage
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Job endpoints")
struct JobEndpointTests {
  @Test("A download that meets a deletion is whole or 404, never a fault of the service; a file that is lost is one")
  func downloadsAndDeletions() async throws {
    let harness = try ServiceHarness { $0.workers = 2 }
    try await harness.test { client async throws in
      for path in ["/outputs/pytorch_model_to_cs-1.8.mdl", "/outputs"] {
        var urls: [String] = []
        for _ in 0..<20 { urls.append(try await client.start("quick")) }
        for url in urls { try await client.wait(url, for: "succeeded") }
        try await withThrowingTaskGroup(of: Void.self) { group in
          for url in urls {
            group.addTask { _ = try await client.send(.delete, url) }
            for _ in 0..<4 {
              group.addTask {
                let answer = try await client.send(.get, url + path)
                #expect([.ok, .notFound].contains(answer.status), "\(answer.body)")
              }
            }
          }
          try await group.waitForAll()
        }
        let lost = try await client.start("quick")
        try await client.wait(lost, for: "succeeded")
        let id = try #require(lost.split(separator: "/").last)
        try FileManager.default.removeItem(atPath: harness.folder.path.appending("outputs/\(id)").string)
        #expect(try await client.send(.get, lost + path).status == .internalServerError)
      }
    }
  }

  @Test("From upload to download", arguments: [TestingSetup.router, .live])
  func wholeLife(_ setup: TestingSetup) async throws {
    let harness = try ServiceHarness()
    try await harness.test(setup) { client async throws in
      let url = try await client.start("quick")
      let job = try await client.wait(url, for: "succeeded")
      #expect(
        Set(job.json.keys).isSuperset(of: [
          "id", "status", "command", "model", "src_fmt", "tgt_fmt", "created_at", "started_at", "finished_at",
          "attempt",
          "progress", "warnings", "error", "outputs", "inputs",
        ]))
      #expect(job["command"] == "convert")
      #expect(job.json["attempt"] as? Int == 1)
      #expect(job.json["warnings"] as? [String] == ["Key not matched: x"])
      #expect(job.json["error"] is NSNull)
      let progress = job.json["progress"] as? [String: Any]
      #expect(progress?["tensors_total"] as? Int == 2)
      #expect(progress?["phase"] is NSNull)

      let outputs = try #require(job.json["outputs"] as? [[String: Any]])
      #expect(outputs.map { $0["name"] as? String } == ["config_to_cs-1.8.yaml", "pytorch_model_to_cs-1.8.mdl"])
      let file = try await client.send(.get, try #require(outputs[1]["url"] as? String))
      #expect(file.status == .ok)
      #expect(file.body == "weights")
      #expect(outputs[1]["size"] as? Int == 7)
      #expect(outputs[1]["sha256"] as? String == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c")
      // The inline config reaches the conversion byte for byte.
      let config = try await client.send(.get, try #require(outputs[0]["url"] as? String))
      #expect(config.body == #"{"b":1e-6,"a":[1.50]}"#)

      #expect(try await client.send(.delete, url).status == .noContent)
      #expect(try await client.send(.get, url).status == .notFound)
      #expect(try harness.files("outputs").isEmpty)
    }
    #expect(try harness.files("work").isEmpty)
  }

  @Test("A download answers conditions and ranges", arguments: [TestingSetup.router, .live])
  func downloads(_ setup: TestingSetup) async throws {
    let harness = try ServiceHarness()
    try await harness.test(setup) { client async throws in
      let job = try await client.start("quick")
      _ = try await client.wait(job, for: "succeeded")
      let url = "\(job)/outputs/pytorch_model_to_cs-1.8.mdl"
      let whole = try await client.send(.get, url)
      let tag = try #require(whole.headers[.eTag])
      #expect(whole.headers[.contentLength] == "7")
      #expect(whole.headers[.acceptRanges] == "bytes")
      #expect(whole.headers[.reprDigest] == "sha-256=:mhKQONmgCu0M9qfqBZylCoE0SQYauHhIzxoT6v3zOyw=:")
      #expect(whole.headers[.contentDisposition]?.contains("pytorch_model_to_cs-1.8.mdl") == true)

      let head = try await client.send(.head, url, headers: [.range: "bytes=0-1"])
      #expect(head.status == .ok)
      #expect(head.headers[.contentLength] == "7")
      #expect(head.body.isEmpty)

      let part = try await client.send(.get, url, headers: [.range: "bytes=2-4"])
      #expect(part.status == .partialContent)
      #expect(part.body == "igh")
      #expect(part.headers[.contentRange] == "bytes 2-4/7")
      #expect(try await client.send(.get, url, headers: [.range: "bytes=-2"]).body == "ts")
      #expect(try await client.send(.get, url, headers: [.range: "bytes=0-6"]).status == .partialContent)

      let beyond = try await client.send(.get, url, headers: [.range: "bytes=7-"])
      #expect(beyond.status == .rangeNotSatisfiable)
      #expect(beyond.headers[.contentRange] == "bytes */7")

      #expect(try await client.send(.get, url, headers: [.range: "bytes=0-1", .ifRange: tag]).body == "we")
      #expect(try await client.send(.get, url, headers: [.range: "bytes=0-1", .ifRange: "\"old\""]).body == "weights")
      let same = try await client.send(.get, url, headers: [.ifNoneMatch: tag])
      #expect(same.status == .notModified)
      #expect(same.body.isEmpty)
      #expect(try await client.send(.get, "\(job)/outputs/..%2Fzooport.sqlite").status == .notFound)
    }
  }

  @Test("A running job shows its progress, and ends within a second when cancelled")
  func cancelRunning() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let url = try await client.start("endless")
      _ = try await client.wait(url, for: "running")
      let running = try await eventually {
        let progress = try await client.send(.get, url).json["progress"] as? [String: Any]
        return progress?["phase"] as? String == "converting" && progress?["bytes_done"] as? Int == 10
      }
      #expect(running)
      let start = ContinuousClock.now
      let answer = try await client.send(.delete, url)
      #expect(answer.status == .ok)
      #expect(answer["status"] == "cancelled")
      #expect(try await eventually { try harness.files("work").isEmpty })
      #expect(ContinuousClock.now - start < .seconds(1))
      #expect(try await client.send(.get, url)["status"] == "cancelled")
    }
  }

  @Test("A queued job is cancelled before it starts, and others go on")
  func cancelQueued() async throws {
    let harness = try ServiceHarness { $0.workers = 1 }
    try await harness.test { client async throws in
      let blocker = try await client.start("endless")
      _ = try await client.wait(blocker, for: "running")
      let queued = try await client.start("quick")
      let next = try await client.start("quick")
      #expect(try await client.send(.delete, queued)["status"] == "cancelled")
      #expect(try await client.send(.delete, blocker)["status"] == "cancelled")
      _ = try await client.wait(next, for: "succeeded")
      #expect(try await client.send(.get, queued).json["attempt"] as? Int == 0)
    }
  }

  @Test("A failed job carries its problem, without the paths of the server")
  func failure() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let job = try await client.wait(try await client.start("broken"), for: "failed")
      let error = try #require(job.json["error"] as? [String: Any])
      #expect(error["code"] as? String == "config_not_convertible")
      #expect(error["status"] as? Int == 422)
      #expect(error["detail"] as? String == "config.json has activation: gelu_new2")
      let finding = try #require((error["diagnostics"] as? [[String: Any]])?.first)
      #expect(finding["subject"] as? String == "activation")
      #expect(finding["rule"] as? String == "Core/GPT2.swift:7")
      #expect((job.json["outputs"] as? [Any])?.isEmpty == true)
      #expect(try harness.files("outputs").isEmpty)
    }
  }

  @Test(
    "Multipart submission: files, shards, options; the files go with the job", arguments: [TestingSetup.router, .live])
  func multipart(_ setup: TestingSetup) async throws {
    let harness = try ServiceHarness()
    try await harness.test(setup) { client async throws in
      var body = ""
      for (name, value) in [
        ("model", "swift"), ("src_fmt", "hf"), ("tgt_fmt", "cs-1.8"), ("options", #"{"drop_unmatched_keys":true}"#),
      ] {
        body += "--B\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
      }
      for (name, file, content) in [
        ("config", "/tmp/config.json", "{}"), ("checkpoint", "a.bin", "one-"), ("checkpoint", "b.bin", "two"),
      ] {
        body += "--B\r\nContent-Disposition: form-data; name=\"\(name)\"; filename=\"\(file)\"\r\n\r\n\(content)\r\n"
      }
      let answer = try await client.send(
        .post, "/v1/jobs", headers: [.contentType: "multipart/form-data; boundary=B"], body: body + "--B--\r\n")
      #expect(answer.status == .accepted)
      let url = try #require(answer.headers[.location])
      let job = try await client.wait(url, for: "succeeded")
      #expect((job.json["options"] as? [String: Any])?["drop_unmatched_keys"] as? Bool == true)
      #expect(try await client.send(.get, "\(url)/outputs/pytorch_model_to_cs-1.8.mdl").body == "one-two")
      #expect(try await client.send(.delete, url).status == .noContent)
      #expect(try harness.files("uploads").isEmpty)
    }
  }

  @Test(
    "Malformed multipart bodies leave nothing behind",
    arguments: [
      ("--B\r\nContent-Disposition: form-data; name=checkpoint; filename=a.bin\r\n\r\nabc", 400),
      ("--B\r\nContent-Disposition: form-data; name=checkpoint; filename=a.bin\r\n\r\nabc\r\n--B--", 422),
      ("--B\r\nContent-Disposition: form-data; name=checkpoint; filename=..\r\n\r\nabc\r\n--B--", 422),
      ("--B\r\nContent-Disposition: form-data; name=other; filename=x\r\n\r\nabc\r\n--B--", 422),
      ("--B\r\nContent-Disposition: form-data; name=options\r\n\r\n{\r\n--B--", 422),
      ("--B\r\nnothing", 400), ("", 400),
    ])
  func badMultipart(_ body: String, _ status: Int) async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let answer = try await client.send(
        .post, "/v1/jobs", headers: [.contentType: "multipart/form-data; boundary=B"], body: body)
      #expect(answer.status.code == status)
    }
    #expect(try harness.files("uploads").isEmpty)
    #expect(try harness.files("incoming").isEmpty)
  }

  @Test(
    "Submissions that are refused, and why",
    arguments: [
      ("", 400, "malformed_request"), ("[]", 400, "malformed_request"), ("{\"model\":", 400, "malformed_request"),
      (#"{"model":"nope"}"#, 422, "invalid_request"),
      (
        #"{"model":"nope","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"inline":{}}}"#, 422,
        "unknown_model"
      ),
      (
        #"{"model":"quick","src_fmt":"cs-1.8","tgt_fmt":"hf","command":"convert-config","config":{"inline":{}}}"#, 422,
        "unsupported_pair"
      ),
      (
        #"{"model":"quick","src_fmt":"x","tgt_fmt":"y","command":"convert-config","config":{"inline":{}}}"#, 422,
        "unsupported_pair"
      ),
      (#"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}}}"#, 422, "invalid_request"),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"hub":"a/../b"}}"#,
        422,
        "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"hub":"a/b","revision":"main","zork":1}}"#,
        422, "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"url":"file:///etc/passwd"}}"#,
        422, "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"upload":"../../x"}}"#,
        422, "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"inline":{}},"options":{"zork":1}}"#,
        422, "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"run","config":{"inline":{}}}"#, 422,
        "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"checkpoint":{"inline":{}}}"#, 422,
        "invalid_request"
      ),
      (
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"checkpoint":[{"url":"https://h/a"},{"url":"https://i/a"}]}"#,
        422, "invalid_request"
      ),
    ])
  func refused(_ body: String, _ status: Int, _ code: String) async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.submit(body)
      #expect(answer.status.code == status)
      #expect(answer["code"] == code, "\(answer.body)")
    }
  }

  @Test("All faults of a submission are named at once")
  func allFaults() async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.submit(
        #"{"model":1,"extra":true,"options":{"a":1},"checkpoint":[{"url":"ftp://x"}]}"#)
      let subjects = (answer.json["diagnostics"] as? [[String: Any]])?.compactMap { $0["subject"] as? String }
      #expect(Set(subjects ?? []) == ["model", "extra", "options.a", "checkpoint", "config", "src_fmt", "tgt_fmt"])
    }
  }

  @Test("Other media types and unknown queries are refused")
  func mediaType() async throws {
    try await ServiceHarness().test { client async throws in
      for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let answer = try await client.send(.post, "/v1/jobs", headers: [.contentType: type], body: "{}")
        #expect(answer.status == .unsupportedMediaType)
      }
      for query in ["status=done", "limit=0", "limit=201", "limit=x", "cursor=x", "page=2"] {
        #expect(try await client.send(.get, "/v1/jobs?\(query)").status == .unprocessableContent, "\(query)")
      }
    }
  }

  @Test("Listing by status and model, page by page")
  func listing() async throws {
    try await ServiceHarness().test { client async throws in
      var urls: [String] = []
      for _ in 0..<5 {
        urls.append(try await client.start("quick"))
        try await Task.sleep(for: .milliseconds(2))
      }
      for url in urls { _ = try await client.wait(url, for: "succeeded") }
      var found: [String] = []
      var cursor = ""
      for _ in 0..<3 {
        let page = try await client.send(.get, "/v1/jobs?status=succeeded&model=quick&limit=2\(cursor)")
        found += (page.json["jobs"] as? [[String: Any]] ?? []).compactMap { $0["url"] as? String }
        guard let next = page["next_cursor"] else { break }
        cursor = "&cursor=\(next)"
      }
      #expect(found == urls.reversed())
      #expect((try await client.send(.get, "/v1/jobs?status=failed").json["jobs"] as? [Any])?.isEmpty == true)
    }
  }

  @Test("Inputs by URL are fetched; a fetch that fails fails the job")
  func urls() async throws {
    let server = try LoopbackServer { target, send in
      if target.hasPrefix("/gone.bin") {
        _ = send(LoopbackServer.answer("404 Not Found", ""))
      } else {
        _ = send(LoopbackServer.answer("200 OK", "content of \(target)"))
      }
    }
    defer { server.stop() }
    let policy = try EgressPolicy(allowing: ["127.0.0.0/8"])
    try await ServiceHarness { $0.egress = policy }.test { client async throws in
      func submit(_ file: String) async throws -> String {
        let answer = try await client.submit(
          """
          {"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},
           "checkpoint":{"url":"http://127.0.0.1:\(server.port)/\(file)?sig=secret"}}
          """)
        #expect(!answer.body.contains("secret"))
        return try #require(answer["url"])
      }
      let good = try await submit("a.bin")
      _ = try await client.wait(good, for: "succeeded")
      #expect(
        try await client.send(.get, "\(good)/outputs/pytorch_model_to_cs-1.8.mdl").body
          == "content of /a.bin?sig=secret")
      let bad = try await client.wait(try await submit("gone.bin"), for: "failed")
      let error = try #require(bad.json["error"] as? [String: Any])
      #expect(error["code"] as? String == "fetch_failed")
      #expect((error["detail"] as? String)?.contains("127.0.0.1 answered 404") == true)
      #expect(!bad.body.contains("secret"))
    }
  }

  @Test("Addresses that are not public are not fetched unless allowed, and are not told")
  func egress() async throws {
    try await ServiceHarness().test { client async throws in
      let answer = try await client.submit(
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","command":"convert-config","config":{"url":"http://localhost:1/config.json"}}"#
      )
      let job = try await client.wait(try #require(answer["url"]), for: "failed")
      let error = try #require(job.json["error"] as? [String: Any])
      #expect(error["code"] as? String == "fetch_failed")
      let detail = try #require(error["detail"] as? String)
      #expect(detail.contains("localhost has no public address"))
      #expect(!detail.contains("127.0.0.1") && !detail.contains("::1") && !detail.contains("loopback"))
    }
  }

  @Test("A restart runs interrupted jobs again and keeps finished ones")
  func restart() async throws {
    let folder = try TemporaryFolder()
    let interrupted: String
    do {
      let database = try Database(path: folder.path.appending("zooport.sqlite").string)
      let store = SQLiteJobStore(database: database)
      let job = Job(
        id: .generate(), command: .convertConfig, model: "quick", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", try #require(FileName("config.json"))), checkpoint: [], options: ConversionOptions(),
        createdAt: .now)
      try await store.insert(job, bringing: [])
      _ = try store.claim(worker: "dead", at: .now, leaseUntil: Timestamp.now.advanced(by: .seconds(3600)))
      interrupted = "/v1/jobs/\(job.id)"
    }
    let harness = try ServiceHarness { $0.dataFolder = folder.path }
    try await harness.test { client async throws in
      let job = try await client.wait(interrupted, for: "succeeded")
      #expect(job.json["attempt"] as? Int == 2)
    }
  }

  @Test("Stopping the service puts running jobs back into the queue")
  func shutdown() async throws {
    let harness = try ServiceHarness()
    let url = try await {
      let box = Box()
      try await harness.test { client async throws in
        let url = try await client.start("endless")
        _ = try await client.wait(url, for: "running")
        await box.set(url)
      }
      return await box.value
    }()
    let id = try #require(Identifier(String(url.split(separator: "/").last ?? "")))
    let job = try #require(try await harness.app.jobs.job(id))
    #expect(job.status == .queued)
    #expect(job.attempt == 0)
    #expect(try harness.files("work").isEmpty)
  }

  private actor Box {
    var value = ""
    func set(_ text: String) { value = text }
  }
}
