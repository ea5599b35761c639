import Crypto
import Foundation
import Synchronization
import TestSupport
import Testing

/// `zooport submit`, `status`, `watch`, `download` and `cancel`: the real binary against the real service.
@Suite("Client commands, end to end", .enabled(if: ServiceProcess.binary != nil), .serialized)
struct ClientTests {
  private static let gpt2 = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/gpt2")

  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "zooport-client-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// A client command that runs.
  private final class Command: Sendable {
    struct Result {
      let status: Int32
      let output: String
      let error: String

      var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    private let process = Process()
    private let output = Pipe()
    private let error = Pipe()

    init(_ arguments: [String], url: String, cache: URL, environment: [String: String] = [:]) throws {
      process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
      process.arguments = arguments
      process.environment = ["ZOOPORT_URL": url, "XDG_CACHE_HOME": cache.path, "PATH": "/usr/bin:/bin"].merging(
        environment
      ) { $1 }
      process.standardOutput = output
      process.standardError = error
      try process.run()
    }

    /// Waits for the end, off the cooperative pool.
    func result() async -> Result {
      await withCheckedContinuation { done in
        Thread { [self] in
          let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
          let errors = String(decoding: error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
          process.waitUntilExit()
          done.resume(returning: Result(status: process.terminationStatus, output: text, error: errors))
        }.start()
      }
    }

    func kill() { Foundation.kill(process.processIdentifier, SIGKILL) }
  }

  private func command(
    _ arguments: [String], _ service: ServiceProcess, environment: [String: String] = [:]
  ) throws -> Command {
    try Command(
      arguments, url: service.base.absoluteString, cache: folder.appending(path: "cache"), environment: environment)
  }

  private func run(_ arguments: [String], _ service: ServiceProcess) async throws -> Command.Result {
    try await command(arguments, service).result()
  }

  @Test("submit --webhook: the receiver is told; a secret that is none is refused before anything is sent")
  func webhook() async throws {
    let bodies = Mutex<[Data]>([])
    let receiver = try LoopbackServer.answering { request, send in
      bodies.withLock { $0.append(request.body) }
      send(LoopbackServer.answer("204 No Content", ""))
    }
    defer { receiver.stop() }
    let service = try ServiceProcess(
      folder: folder.appending(path: "data"), arguments: ["--allow-private-fetch", "127.0.0.1"])
    let secret = folder.appending(path: "secret")
    let arguments =
      ["submit"] + Self.formats + Self.inputs
      + ["--webhook", "http://127.0.0.1:\(receiver.port)/hook", "--webhook-secret-file", secret.path]
    try Data("password\n".utf8).write(to: secret)
    let refused = try await run(arguments, service)
    #expect(refused.status == 2)
    #expect(refused.error.contains("whsec_") && !refused.error.contains("password"))
    let jobs = try await service.json("GET", "/v1/jobs")
    #expect((jobs["jobs"] as? [Any])?.isEmpty == true)
    #expect(try await run(Array(arguments.dropLast(2)), service).status == 2)

    try Data("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n".utf8).write(to: secret)
    let submitted = try await run(arguments, service)
    #expect(submitted.status == 0, "\(submitted.error)")
    let id = try #require(submitted.lines.first)
    for _ in 0..<300 where bodies.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(100)) }
    let body = try #require(bodies.withLock { $0.first })
    let event = try #require(try JSONSerialization.jsonObject(with: body) as? [String: Any])
    #expect(event["type"] as? String == "job.succeeded")
    #expect((event["data"] as? [String: Any])?["id"] as? String == id)
  }

  private static let formats = ["--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"]
  private static let inputs = [
    gpt2.appending(path: "pytorch_model.bin").path, "--config", gpt2.appending(path: "config.json").path,
  ]

  /// What `convert` makes of the fixture.
  private func converted() async throws -> [String: Data] {
    let target = folder.appending(path: "cli")
    let command = try Command(
      ["convert"] + Self.formats + Self.inputs + ["--output-dir", target.path], url: "", cache: folder)
    let result = await command.result()
    #expect(result.status == 0, "\(result.error)")
    return try Dictionary(
      uniqueKeysWithValues: FileManager.default.contentsOfDirectory(atPath: target.path).map {
        ($0, try Data(contentsOf: target.appending(path: $0)))
      })
  }

  @Test("submit with --output-dir does what convert does, on the server; status, watch and download agree")
  func submit() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder.appending(path: "data"))
    let target = folder.appending(path: "out")
    let result = try await run(["submit"] + Self.formats + Self.inputs + ["--output-dir", target.path], service)
    #expect(result.status == 0, "\(result.error)")
    let id = try #require(result.lines.first)
    for (name, content) in try await converted() {
      #expect(try Data(contentsOf: target.appending(path: name)) == content, "\(name)")
      #expect(result.lines.contains("Saved \(target.appending(path: name).path)"))
    }
    #expect(try !FileManager.default.contentsOfDirectory(atPath: target.path).contains { $0.hasSuffix(".part") })

    let status = try await run(["status", id], service)
    #expect(status.lines == ["\(id)  succeeded  gpt2 hf -> cs-1.8"])
    #expect(try await run(["status"], service).lines == status.lines)
    #expect(try await run(["status", id, "--json"], service).output.contains(#""sha256":""#))
    #expect(try await run(["watch", id], service).lines == ["\(id) succeeded"])
    let one = folder.appending(path: "one")
    let download = try await run(
      ["download", id, "config_to_cs-1.8.yaml", "--output-dir", one.path], service)
    #expect(download.status == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: one.path) == ["config_to_cs-1.8.yaml"])
    #expect(try await run(["download", id, "other"], service).status == 1)
    let blocked = try await run(
      ["download", id, "--output-dir", one.appending(path: "config_to_cs-1.8.yaml/x").path], service)
    #expect(blocked.status == 1)
    #expect(blocked.error.contains("config_to_cs-1.8.yaml/x cannot be made"), "\(blocked.error)")
    // An ended job is not cancelled, and above all not deleted.
    let cancel = try await run(["cancel", id], service)
    #expect(cancel.status == 1)
    #expect(cancel.error.contains("has succeeded"))
    #expect(try await run(["status", id], service).status == 0)
    // The upload is remembered: nothing is sent a second time, and the equal job is answered at once.
    let again = try await run(["submit"] + Self.formats + Self.inputs + ["--wait"], service)
    #expect(again.status == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "data/uploads").path).count == 2)
  }

  @Test("convert-config, and inputs by address")
  func otherForms() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let config = try Data(contentsOf: Self.gpt2.appending(path: "config.json"))
    let remote = try LoopbackServer { _, send in
      send("HTTP/1.1 200 OK\r\nContent-Length: \(config.count)\r\n\r\n")
      send(config)
    }
    defer { remote.stop() }
    let service = try ServiceProcess(
      folder: folder.appending(path: "data"), arguments: ["--allow-private-fetch", "127.0.0.1"])
    for input in [Self.inputs[2], "http://127.0.0.1:\(remote.port)/config.json"] {
      let target = folder.appending(path: UUID().uuidString)
      let result = try await run(
        ["submit", "convert-config"] + Self.formats + [input, "--download", target.path], service)
      #expect(result.status == 0, "\(result.error)")
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: target.path).sorted() == [
          "config_to_cs-1.8.report.json", "config_to_cs-1.8.yaml",
        ])
    }
    // The service asked for it, and not the command, which would have sent it as an upload.
    #expect(Set(remote.requests) == ["/config.json"])
  }

  @Test("Exit statuses are those of convert")
  func statuses() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder.appending(path: "data"))
    let bad = folder.appending(path: "config.json")
    let text = try String(contentsOfFile: Self.inputs[2], encoding: .utf8)
    try text.replacing("\"reorder_and_upcast_attn\": false", with: "\"reorder_and_upcast_attn\": true").write(
      to: bad, atomically: true, encoding: .utf8)
    let junk = folder.appending(path: "junk.bin")
    try Data("junk".utf8).write(to: junk)
    let id = "00000000000000000000000000"
    for (arguments, status, message) in [
      (["submit"] + Self.formats + [Self.inputs[0], "--config", bad.path, "--wait"], 3, "reorder_and_upcast_attn"),
      (["submit"] + Self.formats + [junk.path, "--config", Self.inputs[2]], 5, "junk.bin"),
      (["submit"] + Self.formats + ["/none", "--config", Self.inputs[2]], 5, "/none"),
      (["submit", "--model", "zork", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"] + Self.inputs, 2, "zork"),
      (["submit"] + Self.inputs, 2, "--model"),
      (["status", id], 1, id), (["watch", id], 1, id), (["download", id], 1, id), (["cancel", id], 1, id),
      (["status", "--url", "zork://x"], 2, "zork"),
      (["status", "--url", "http://127.0.0.1:1", "--patience", "0"], 1, "connect"),
      (["status", "--token-file", "/none"], 2, "/none"),
    ] as [([String], Int32, String)] {
      let result = try await run(arguments, service)
      #expect(result.status == status, "\(arguments): \(result.error)")
      #expect(result.error.contains(message), "\(arguments): \(result.error)")
    }
  }

  @Test("The token goes into the header and nowhere else")
  func token() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let heads = Mutex<[String]>([])
    let server = try LoopbackServer.answering { request, send in
      heads.withLock { $0.append(request.head) }
      send(LoopbackServer.answer("200 OK", #"{"jobs":[],"next_cursor":null}"#))
    }
    defer { server.stop() }
    let url = "http://127.0.0.1:\(server.port)"
    let first = try Command(["status"], url: url, cache: folder, environment: ["ZOOPORT_TOKEN": "secret-1\n"])
    #expect(await first.result().status == 0)
    let file = folder.appending(path: "token")
    try "secret-2\n".write(to: file, atomically: true, encoding: .utf8)
    let second = try Command(
      ["status", "--token-file", file.path], url: url, cache: folder, environment: ["ZOOPORT_TOKEN": "secret-1"])
    #expect(await second.result().status == 0)
    let third = try Command(["status"], url: url, cache: folder)
    #expect(await third.result().status == 0)
    let sent = heads.withLock { $0 }
    try #require(sent.count == 3)
    #expect(sent[0].contains("\r\nAuthorization: Bearer secret-1\r\n"))
    #expect(sent[1].contains("\r\nAuthorization: Bearer secret-2\r\n"))
    #expect(!sent[2].contains("Authorization"))
  }

  @Test("A server that answers at once though it was asked to wait is asked once a second")
  func pace() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let count = Mutex(0)
    let id = "00000000000000000000000000"
    let job =
      #"{"id":"\#(id)","url":"/v1/jobs/\#(id)","status":"queued","command":"convert","model":"gpt2","src_fmt":"hf","#
      + #""tgt_fmt":"cs-1.8","created_at":"2026-01-01T00:00:00.000Z","progress":{"phase":null,"bytes_done":0,"#
      + #""bytes_total":0,"tensors_done":0,"tensors_total":0,"phases":{}},"warnings":[],"error":null,"outputs":[]}"#
    let server = try LoopbackServer.answering { _, send in
      count.withLock { $0 += 1 }
      send(LoopbackServer.answer("200 OK", job))
    }
    defer { server.stop() }
    let watch = try Command(["watch", id], url: "http://127.0.0.1:\(server.port)", cache: folder)
    try await Task.sleep(for: .seconds(3.5))
    watch.kill()
    _ = await watch.result()
    let asked = count.withLock { $0 }
    #expect((2...5).contains(asked), "\(asked)")
  }

  @Test("A redirect is named and not followed, and a log gets no control characters")
  func redirect() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let server = try LoopbackServer.answering { request, send in
      guard request.head.contains("/v1/jobs?") else {
        send(LoopbackServer.answer("503 Service Unavailable", ""))
        return
      }
      send("HTTP/1.1 308 Permanent Redirect\r\nLocation: https://zooport.example/v1/jobs\r\nContent-Length: 0\r\n\r\n")
    }
    defer { server.stop() }
    let url = "http://127.0.0.1:\(server.port)"
    let moved = try await Command(["status"], url: url, cache: folder).result()
    #expect(moved.status == 1)
    #expect(
      moved.error
        == "ERROR: \(url) answered 308 and points to https://zooport.example/v1/jobs; if the server is there, "
        + "name it with --url\n")
    let busy = try await Command(["status", "x", "--patience", "1"], url: url, cache: folder).result()
    #expect(busy.error.hasPrefix("WARNING: \(url) answered 503; trying again\n"), "\(busy.error)")
    #expect(!busy.error.contains("\u{1B}"))
  }

  @Test("A file that gets shorter while it is sent is an input that cannot be read; so says the status")
  func shrinks() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "config.json")
    try Data(repeating: 32, count: 8_000_000).write(to: file)
    let address = "/v1/uploads/00000000000000000000000000"
    let server = try LoopbackServer.answering { request, send in
      if request.method == "POST" {
        send("HTTP/1.1 201 Created\r\nLocation: \(address)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      } else if request.method == "HEAD" {
        send("HTTP/1.1 200 OK\r\nUpload-Offset: 0\r\nUpload-Length: 8000000\r\nConnection: close\r\n\r\n")
        truncate(file.path, 1_000_000)
      }
    }
    defer { server.stop() }
    let result = try await Command(
      ["submit", "convert-config"] + Self.formats + [file.path, "--patience", "0"],
      url: "http://127.0.0.1:\(server.port)", cache: folder.appending(path: "cache")
    ).result()
    #expect(result.status == 5, "\(result.error)")
    #expect(result.error.contains("\(file.path) became shorter while it was sent"), "\(result.error)")
  }

  @Test("A server whose authority the system does not know is reached with --ca-file or its variable")
  func privateAuthority() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (key, certificate) = (folder.appending(path: "key.pem").path, folder.appending(path: "certificate.pem").path)
    let openssl = Process()
    openssl.executableURL = URL(filePath: "/usr/bin/openssl")
    openssl.arguments = [
      "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
      "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
    ]
    openssl.standardError = FileHandle.nullDevice
    try openssl.run()
    openssl.waitUntilExit()
    try #require(openssl.terminationStatus == 0)
    // Answers every request with a page, which is no answer of zooport: who gets so far trusts it.
    let port = 20_000 + Int(getpid()) % 20_000
    let server = Process()
    server.executableURL = openssl.executableURL
    server.arguments = [
      "s_server", "-accept", "127.0.0.1:\(port)", "-key", key, "-cert", certificate, "-www", "-quiet",
    ]
    server.standardOutput = FileHandle.nullDevice
    server.standardError = FileHandle.nullDevice
    try server.run()
    // It does not heed SIGTERM.
    defer {
      kill(server.processIdentifier, SIGKILL)
      server.waitUntilExit()
    }
    try await Task.sleep(for: .seconds(1))
    let url = "https://127.0.0.1:\(port)"
    func error(_ arguments: [String] = [], _ environment: [String: String] = [:]) async throws -> String {
      let arguments = ["status", "--patience", "0"] + arguments
      return try await Command(arguments, url: url, cache: folder, environment: environment).result().error
    }
    let stranger = try await error()
    #expect(stranger.contains("name the authority with --ca-file"), "\(stranger)")
    #expect(try await error(["--ca-file", certificate]).contains("does not understand"))
    #expect(try await error([], ["ZOOPORT_CA_FILE": certificate]).contains("does not understand"))
    #expect(try await error(["--ca-file", key]).contains("\(key) is no readable file of certificates"))
  }

  @Test("A server that dies while a file is sent, while the job runs and before the download: the command gets through")
  func serverDies() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = folder.appending(path: "data")
    var service = try ServiceProcess(folder: data)
    let port = try #require(service.base.port)
    let relay = try Relay(to: port)
    defer { relay.stop() }
    let url = "http://127.0.0.1:\(relay.port)"
    let target = folder.appending(path: "out")
    relay.cut(after: 100_000)
    let submit = try Command(
      ["submit"] + Self.formats + Self.inputs + ["--output-dir", target.path], url: url,
      cache: folder.appending(path: "cache"))
    // Some kills hit the upload, some the job, some the download, some nothing at all.
    for pause in [0.15, 0.3, 0.4] {
      try await Task.sleep(for: .seconds(pause))
      #expect(service.end(SIGKILL) == SIGKILL)
      try await Task.sleep(for: .seconds(0.4))
      service = try ServiceProcess(folder: data, port: port)
    }
    let result = await submit.result()
    #expect(result.status == 0, "\(result.error)")
    #expect(relay.cuts > 0)
    for (name, content) in try await converted() {
      #expect(try Data(contentsOf: target.appending(path: name)) == content, "\(name)")
    }
  }

  @Test("An upload and a download that were killed go on where they were")
  func clientDies() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder.appending(path: "data"))
    let relay = try Relay(to: try #require(service.base.port))
    defer { relay.stop() }
    let url = "http://127.0.0.1:\(relay.port)"
    let cache = folder.appending(path: "cache")
    let arguments = ["submit"] + Self.formats + Self.inputs + ["--wait"]
    // The bytes stop on their way; the command is killed while it waits.
    relay.stall(after: 100_000)
    let first = try Command(arguments, url: url, cache: cache)
    let partial = folder.appending(path: "data/partial")
    for _ in 0..<200 where (try? FileManager.default.contentsOfDirectory(atPath: partial.path).isEmpty) ?? true {
      try await Task.sleep(for: .milliseconds(20))
    }
    try await Task.sleep(for: .milliseconds(300))
    first.kill()
    _ = await first.result()
    relay.flow()
    let address = try #require(try FileManager.default.contentsOfDirectory(atPath: partial.path).first)
    let second = try await Command(arguments, url: url, cache: cache).result()
    #expect(second.status == 0, "\(second.error)")
    let id = try #require(second.lines.first)
    // The unfinished upload of the first run is the checkpoint of the second.
    #expect(try await run(["status", "--json", id], service).output.contains(address))

    let target = folder.appending(path: "out")
    try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
    let expected = try await converted()
    let model = try #require(expected["pytorch_model_to_cs-1.8.mdl"])
    let digest = SHA256.hash(data: model).prefix(4).map { String(0x100 + Int($0), radix: 16).dropFirst() }.joined()
    let part = target.appending(path: "pytorch_model_to_cs-1.8.mdl.\(digest).part")
    try model.prefix(5000).write(to: part)
    let before = relay.passedBack
    let download = try await Command(["download", id, "--output-dir", target.path], url: url, cache: cache).result()
    #expect(download.status == 0, "\(download.error)")
    #expect(try Data(contentsOf: target.appending(path: "pytorch_model_to_cs-1.8.mdl")) == model)
    #expect(!FileManager.default.fileExists(atPath: part.path))
    #expect(relay.passedBack - before > 0)
    // Bytes that are not those of the output are found out, and the next run begins anew.
    try FileManager.default.removeItem(at: target.appending(path: "pytorch_model_to_cs-1.8.mdl"))
    try Data(repeating: 0, count: 5000).write(to: part)
    let damaged = try await Command(["download", id, "--output-dir", target.path], url: url, cache: cache).result()
    #expect(damaged.status == 1)
    #expect(damaged.error.contains("damaged"))
    let repaired = try await Command(["download", id, "--output-dir", target.path], url: url, cache: cache).result()
    #expect(repaired.status == 0)
    #expect(try Data(contentsOf: target.appending(path: "pytorch_model_to_cs-1.8.mdl")) == model)
  }
}
