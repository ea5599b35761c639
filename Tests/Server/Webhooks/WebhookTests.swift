import Foundation
import GRDB
import HTTPTypes
import Logging
import Synchronization
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

@Suite("Webhook forms")
struct WebhookFormTests {
  @Test("The signature is that of Standard Webhooks, by the example of its specification")
  func signature() throws {
    let secret = try #require(WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    #expect(
      secret.signature(
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: Data(#"{"test": 2432232314}"#.utf8))
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  }

  @Test("Secrets have 24 to 64 bytes in Base64")
  func secrets() {
    func secret(_ bytes: Int) -> String { "whsec_" + Data(repeating: 7, count: bytes).base64EncodedString() }
    for bytes in [24, 32, 64] { #expect(WebhookSecret(secret(bytes)) != nil, "\(bytes)") }
    for bytes in [0, 1, 23, 65, 200] { #expect(WebhookSecret(secret(bytes)) == nil, "\(bytes)") }
    for text in ["", "whsec_", "password", "whsec_*" + secret(32), String(secret(32).dropFirst(6))] {
      #expect(WebhookSecret(text) == nil, "\(text)")
    }
  }

  @Test(
    "What is wrong is named, and the secret is not repeated",
    arguments: [
      (#""https://x""#, ["webhook"]), ("7", ["webhook"]), ("{}", ["webhook.secret", "webhook.url"]),
      (#"{"url":"https://x/","secret":"hunter2hunter2"}"#, ["webhook.secret"]),
      (#"{"url":"https://x/","secret":7}"#, ["webhook.secret"]),
      (#"{"url":"ftp://x/","secret":"SECRET"}"#, ["webhook.url"]),
      (#"{"url":"https://user:word@x/","secret":"SECRET"}"#, ["webhook.url"]),
      (#"{"url":null,"secret":"SECRET","method":"PUT"}"#, ["webhook.method", "webhook.url"]),
    ])
  func findings(_ json: String, _ fields: [String]) throws {
    let text = json.replacing("SECRET", with: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    let reader = WebhookReader(try JSONTree.parse(Data(text.utf8)), vault: SecretVault())
    #expect(reader.webhook == nil)
    #expect(reader.findings.map(\.subject).sorted() == fields)
    #expect(!reader.findings.contains { $0.message.contains("hunter2") || $0.message.contains("MfKQ") })
  }
}

/// The service with receivers on loopback.
@Suite("Webhooks")
struct WebhookTests {
  private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

  /// A receiver that answers from a list, the last answer again and again, and keeps what it got.
  private final class Receiver: Sendable {
    private final class Log: Sendable { let requests = Mutex<[LoopbackServer.Request]>([]) }

    let server: LoopbackServer
    private let log: Log

    init(_ answers: [String]) throws {
      let log = Log()
      self.log = log
      server = try LoopbackServer.answering { request, send in
        let count = log.requests.withLock {
          $0.append(request)
          return $0.count
        }
        send(answers[min(count, answers.count) - 1])
      }
    }

    var requests: [LoopbackServer.Request] { log.requests.withLock { $0 } }
    func url(_ path: String = "/hook?key=path-secret") -> String { "http://127.0.0.1:\(server.port)\(path)" }
  }

  private static func harness(
    _ log: LogLines? = nil, in folder: TemporaryFolder? = nil, _ change: (inout Settings) -> Void = { _ in }
  ) throws -> ServiceHarness {
    try ServiceHarness(log: log?.handler(level: .trace), in: folder) {
      $0.egress = (try? EgressPolicy(allowing: ["127.0.0.1"])) ?? $0.egress
      $0.webhookRetry = RetryPolicy(retries: 3, delay: .milliseconds(10))
      $0.webhookTimeout = 2
      change(&$0)
    }
  }

  private static func submit(_ client: Client, _ model: String, to url: String) async throws -> String {
    let answer = try await client.submit(
      """
      {"model": "\(model)", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": {"inline": {"a": 1}},
       "command": "convert-config", "webhook": {"url": "\(url)", "secret": "\(secret)"}}
      """)
    #expect([.accepted, .ok].contains(answer.status), "\(answer.body)")
    #expect((answer.json["webhook"] as? [String: Any])?["host"] as? String == "127.0.0.1")
    return try #require(answer["url"])
  }

  /// The `webhook` of a job once it has a state.
  private static func webhook(_ client: Client, _ url: String, _ state: String) async throws -> [String: Any] {
    let reached = try await eventually {
      (try await client.send(.get, url).json["webhook"] as? [String: Any])?["state"] as? String == state
    }
    let webhook = try #require(try await client.send(.get, url).json["webhook"] as? [String: Any])
    #expect(reached, "\(webhook)")
    return webhook
  }

  @Test(
    "The end of a job is told once, signed, with the job as it is shown",
    arguments: [("quick", "succeeded"), ("broken", "failed"), ("endless", "cancelled")])
  func delivered(_ model: String, _ status: String) async throws {
    let receiver = try Receiver([LoopbackServer.answer("204 No Content", "")])
    defer { receiver.server.stop() }
    let lines = LogLines()
    let harness = try Self.harness(lines)
    try await harness.test { client async throws in
      let url = try await Self.submit(client, model, to: receiver.url())
      if status == "cancelled" {
        #expect(receiver.requests.isEmpty)
        try await client.send(.post, url + "/cancel")
      }
      let webhook = try await Self.webhook(client, url, "delivered")
      #expect(webhook["attempts"] as? Int == 1)
      #expect(webhook["last_status"] as? Int == 204)
      #expect(webhook["delivered_at"] is String)
      #expect(webhook["next_attempt_at"] is NSNull)

      #expect(receiver.requests.count == 1)
      let request = try #require(receiver.requests.first)
      #expect(request.method == "POST")
      #expect(request.target == "/hook?key=path-secret")
      #expect(request.header("content-type") == "application/json")
      #expect(request.header("webhook-id") == webhook["id"] as? String)
      let seconds = try #require(request.header("webhook-timestamp").flatMap { Int($0) })
      #expect(abs(seconds - Timestamp.now.milliseconds / 1000) < 60)
      let expected = try #require(WebhookSecret(Self.secret)).signature(
        id: try #require(request.header("webhook-id")), seconds: seconds, body: request.body)
      #expect(request.header("webhook-signature") == expected)

      let event = try #require(try JSONSerialization.jsonObject(with: request.body) as? [String: Any])
      #expect(event["type"] as? String == "job.\(status)")
      let job = try #require(event["data"] as? [String: Any])
      let shown = try await client.send(.get, url).json
      #expect(event["timestamp"] as? String == shown["finished_at"] as? String)
      for field in ["id", "status", "model", "url", "finished_at"] {
        #expect(job[field] as? String == shown[field] as? String, "\(field)")
      }
      #expect(SchemaValidator.problems(event, SchemaName.webhookEvent.schema.json).isEmpty)

      let metrics = try await client.send(.get, "/metrics").body
      #expect(metrics.contains(#"zooport_webhook_attempts_total{result="delivered"} 1"#))
      // Neither the secret nor the path, which may be one, is shown, logged or stored in the clear.
      for text in [try await client.send(.get, url).body, String(decoding: request.body, as: UTF8.self), lines.text] {
        #expect(!text.contains("whsec_") && !text.contains("path-secret"))
      }
    }
    for name in try harness.files("") where name.hasPrefix("zooport.sqlite") {
      let data = try Data(contentsOf: URL(filePath: harness.folder.path.appending(name).string))
      #expect(!data.contains(Data(Self.secret.utf8)) && !data.contains(Data("MfKQ9r8GKYqr".utf8)), "\(name)")
    }
  }

  @Test("What is not taken is sent again with the same id, later and later, until it is")
  func again() async throws {
    let receiver = try Receiver([
      LoopbackServer.answer("503 Service Unavailable", "busy"),
      LoopbackServer.answer("302 Found", "", headers: "Location: /elsewhere\r\n"),
      "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
      LoopbackServer.answer("200 OK", "thanks"),
    ])
    defer { receiver.server.stop() }
    try await Self.harness().test { client async throws in
      let url = try await Self.submit(client, "quick", to: receiver.url())
      let webhook = try await Self.webhook(client, url, "delivered")
      #expect(webhook["attempts"] as? Int == 4)
      #expect(webhook["last_error"] is NSNull)
      let requests = receiver.requests
      #expect(requests.count == 4)
      #expect(Set(requests.map(\.target)) == ["/hook?key=path-secret"], "a redirect was followed")
      #expect(Set(requests.map { $0.header("webhook-id") }).count == 1)
      #expect(try await client.send(.get, "/metrics").body.contains(#"attempts_total{result="postponed"} 3"#))
    }
  }

  @Test("It is given up after the last try, and at once when the receiver is gone", arguments: [(503, 4), (410, 1)])
  func givenUp(_ status: Int, _ attempts: Int) async throws {
    let receiver = try Receiver([LoopbackServer.answer("\(status) No", "")])
    defer { receiver.server.stop() }
    try await Self.harness().test { client async throws in
      let url = try await Self.submit(client, "quick", to: receiver.url())
      let webhook = try await Self.webhook(client, url, "failed")
      #expect(webhook["attempts"] as? Int == attempts)
      #expect(webhook["last_status"] as? Int == status)
      #expect((webhook["last_error"] as? String)?.contains("\(status)") == true)
      #expect(receiver.requests.count == attempts)
      #expect(try await client.send(.get, url)["status"] == "succeeded", "the job has nothing to do with it")
    }
  }

  @Test("A receiver may ask for a pause")
  func retryAfter() async throws {
    let receiver = try Receiver([
      LoopbackServer.answer("429 Too Many Requests", "", headers: "Retry-After: 600\r\n")
    ])
    defer { receiver.server.stop() }
    try await Self.harness().test { client async throws in
      let url = try await Self.submit(client, "quick", to: receiver.url())
      #expect(await eventually { receiver.requests.count == 1 })
      let isKnown = try await eventually {
        (try await client.send(.get, url).json["webhook"] as? [String: Any])?["attempts"] as? Int == 1
      }
      #expect(isKnown)
      let webhook = try await Self.webhook(client, url, "pending")
      let next = try #require(webhook["next_attempt_at"] as? String)
      #expect(
        next > Timestamp.now.advanced(by: .seconds(500)).text && next < Timestamp.now.advanced(by: .seconds(601)).text)
    }
  }

  @Test("A receiver that hangs is left in time and holds up nobody else's messages")
  func hanging() async throws {
    let hanging = try LoopbackServer.answering { _, _ in Thread.sleep(forTimeInterval: 6) }
    let receiver = try Receiver([LoopbackServer.answer("200 OK", "")])
    defer {
      hanging.stop()
      receiver.server.stop()
    }
    try await Self.harness {
      $0.webhookRetry.retries = 0
      $0.webhookTimeout = 5
    }.test { client async throws in
      var urls: [String] = []
      for _ in 0..<3 {
        urls.append(try await Self.submit(client, "quick", to: "http://127.0.0.1:\(hanging.port)/"))
      }
      #expect(await eventually { !hanging.requests.isEmpty })
      let prompt = try await Self.submit(client, "quick", to: receiver.url())
      _ = try await Self.webhook(client, prompt, "delivered")
      #expect(hanging.requests.count < 3, "the other message waited until all of these had been tried, one at a time")
      let first = try await Self.webhook(client, urls[0], "failed")
      #expect((first["last_error"] as? String)?.contains("Timeout") == true)
    }
  }

  @Test("A message that was taken is not sent again while the database takes no note of it")
  func unrecorded() async throws {
    let receiver = try Receiver([LoopbackServer.answer("200 OK", "")])
    defer { receiver.server.stop() }
    let harness = try Self.harness()
    let database = try Database(path: harness.folder.path.appending("zooport.sqlite").string, migrates: false)
    try await database.pool.write {
      try $0.execute(
        sql: "CREATE TRIGGER full BEFORE UPDATE OF webhook_report ON jobs BEGIN SELECT RAISE(ABORT, 'no room'); END")
    }
    try await harness.test { client async throws in
      let url = try await Self.submit(client, "quick", to: receiver.url())
      #expect(await eventually { receiver.requests.count == 1 })
      // A thread looks for messages each second.
      try await Task.sleep(for: .seconds(2.5))
      #expect(receiver.requests.count == 1)
      try await database.pool.write { try $0.execute(sql: "DROP TRIGGER full") }
      let webhook = try await Self.webhook(client, url, "delivered")
      #expect(webhook["attempts"] as? Int == 1)
      #expect(receiver.requests.count == 1)
    }
  }

  @Test("Receivers of one owner that hang take a part of the threads; nobody's may take all")
  func busy() throws {
    let receivers = BusyReceivers(perOwner: 2)
    let secret = try SecretVault().seal("whsec_x")
    func job(_ index: Int, _ owner: String?) throws -> Job {
      let url = try SourceURL("https://\(index).example.org")
      var job = Job(
        id: .generate(), command: .convert, model: "m", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", FileName("x")!), checkpoint: [], options: ConversionOptions(), createdAt: .now,
        ownership: Ownership(owner: owner))
      job.webhook = Webhook(target: .init(id: .generate(), url: url, secret: secret))
      return job
    }
    let jobs = [try job(0, "ann"), try job(1, "ann"), try job(2, nil), try job(3, nil), try job(4, nil)]
    for (index, next) in jobs.enumerated() {
      _ = receivers.take { busy, resting in
        #expect(busy.count == index)
        #expect(resting == (index < 2 ? [] : ["ann"]))
        return next
      }
    }
    receivers.giveBack(jobs[0])
    let none = receivers.take { busy, resting in
      #expect(resting.isEmpty)
      #expect(busy == Set((1...4).map { "https://\($0).example.org:443" }))
      return Job?.none
    }
    #expect(none == nil)
  }

  @Test("Nothing of this machine or a private network is sent to by default", arguments: EgressTests.hosts)
  func egress(_ host: String) async throws {
    let server = try LoopbackServer { _, send in send(LoopbackServer.answer("200 OK", "secret")) }
    defer { server.stop() }
    guard let url = try? SourceURL("http://\(host):\(server.port)/") else { return }
    let result = await onThread {
      try CurlRequest(
        .post, url, body: .data(Data("{}".utf8)), policy: EgressPolicy(), limits: .init(connectSeconds: 5)
      ).perform().head.status
    }.result
    let failure = try #require(throws: TransferFailure.self) { try result.get() }
    #expect(
      ["does not connect to", "resolve", "URL"].contains { failure.error.message.contains($0) },
      "\(failure.error.message)")
    #expect(server.requests.isEmpty)
  }

  @Test("A refused address is not tried again, and the job says why")
  func refused() async throws {
    let receiver = try Receiver([LoopbackServer.answer("200 OK", "")])
    defer { receiver.server.stop() }
    try await Self.harness { $0.egress = EgressPolicy() }.test { client async throws in
      let url = try await Self.submit(client, "quick", to: receiver.url())
      let webhook = try await Self.webhook(client, url, "failed")
      #expect(webhook["attempts"] as? Int == 1)
      let error = try #require(webhook["last_error"] as? String)
      #expect(error.contains("has no public address") && !error.contains("loopback"))
      #expect(receiver.requests.isEmpty)
    }
  }

  @Test("What waits is sent by the next life of the service; with another key it is given up and says why")
  func restart() async throws {
    let receiver = try Receiver([
      LoopbackServer.answer("503 Service Unavailable", ""), LoopbackServer.answer("200 OK", ""),
    ])
    defer { receiver.server.stop() }
    let folder = try TemporaryFolder()
    let url = Mutex("")
    let lost = Mutex("")
    try await Self.harness(in: folder) { $0.webhookRetry.delay = .seconds(3) }.test { client async throws in
      let submitted = try await Self.submit(client, "quick", to: receiver.url())
      url.withLock { $0 = submitted }
      #expect(await eventually { receiver.requests.count == 1 })
    }
    try await Self.harness(in: folder).test { client async throws in
      let webhook = try await Self.webhook(client, url.withLock { $0 }, "delivered")
      #expect(webhook["attempts"] as? Int == 2)
      let waiting = try await Self.submit(client, "endless", to: receiver.url("/lost"))
      lost.withLock { $0 = waiting }
    }
    let seen = receiver.requests.map { $0.header("webhook-id") }
    #expect(seen.count == 2 && Set(seen).count == 1)
    try FileManager.default.removeItem(atPath: folder.path.appending("token.key").string)
    try await Self.harness(in: folder).test { client async throws in
      try await client.send(.post, lost.withLock { $0 } + "/cancel")
      let webhook = try await Self.webhook(client, lost.withLock { $0 }, "failed")
      #expect((webhook["last_error"] as? String)?.contains("key of the service was replaced") == true)
    }
    #expect(receiver.requests.count == 2)
  }

  @Test("A job that is reused tells its end, too; multipart bodies and plans take the field")
  func forms() async throws {
    let receiver = try Receiver([LoopbackServer.answer("200 OK", "")])
    defer { receiver.server.stop() }
    try await Self.harness().test { client async throws in
      let first = try await Self.submit(client, "quick", to: receiver.url("/1"))
      _ = try await Self.webhook(client, first, "delivered")
      let reused = try await Self.submit(client, "quick", to: receiver.url("/2"))
      #expect(try await client.send(.get, reused).json["reused"] as? Bool == true)
      _ = try await Self.webhook(client, reused, "delivered")
      func part(_ name: String, _ value: String) -> String {
        "--b\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
      }
      let target = #"{"url":"\#(receiver.url("/3"))","secret":"\#(Self.secret)"}"#
      let answer = try await client.send(
        .post, "/v1/jobs", headers: [.contentType: "multipart/form-data; boundary=b"],
        body: part("model", "quick") + part("src_fmt", "hf") + part("tgt_fmt", "cs-1.8")
          + part("command", "convert-config") + part("config", #"{"inline":{"b":2}}"#) + part("webhook", target)
          + "--b--\r\n")
      _ = try await Self.webhook(client, try #require(answer["url"]), "delivered")
      #expect(receiver.requests.map(\.target) == ["/1", "/2", "/3"])
      let wrong = try await client.submit(
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"command":"convert-config","webhook":{}}"#
      )
      #expect(wrong.status == .unprocessableContent)
      #expect(wrong.body.contains("webhook.url") && wrong.body.contains("webhook.secret"))
    }
  }
}
