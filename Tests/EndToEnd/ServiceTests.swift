import Foundation
import Synchronization
import TestSupport
import Testing

/// GPT-2 as Hugging Face has it: `config.json` and `pytorch_model.bin`.
private enum Fixture {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/gpt2")
  static let isPresent = FileManager.default.fileExists(atPath: folder.appending(path: "pytorch_model.bin").path)
}

/// Everything over real sockets with the real binary and a real checkpoint.
@Suite("Service, end to end", .enabled(if: ServiceProcess.binary != nil && Fixture.isPresent), .serialized)
struct ServiceTests {
  private let folder: URL
  private let config: Data
  private let checkpoint: Data

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "zooport-e2e-\(UUID().uuidString)")
    config = try Data(contentsOf: Fixture.folder.appending(path: "config.json"))
    checkpoint = try Data(contentsOf: Fixture.folder.appending(path: "pytorch_model.bin"))
  }

  private func request(_ config: [String: Any], _ checkpoint: [String: Any]) -> [String: Any] {
    ["model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": config, "checkpoint": checkpoint, "reuse": false]
  }

  private func convertUploads(_ service: ServiceProcess) async throws -> [String: Data] {
    let config = try await service.upload("config.json", config)
    let checkpoint = try await service.upload("pytorch_model.bin", checkpoint)
    let job = try await service.json("POST", "/v1/jobs", request(["upload": config], ["upload": checkpoint]))
    return try await service.outputs(of: service.wait(try #require(job["url"] as? String), for: "succeeded"))
  }

  @Test("Upload, submit, poll, download, delete; SIGTERM ends with 0")
  func wholeLife() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    #expect(try await service.send("GET", "/healthz").status == 200)
    let files = try await convertUploads(service)
    #expect(
      Set(files.keys) == [
        "config_to_cs-1.8.yaml", "pytorch_model_to_cs-1.8.mdl", "pytorch_model_to_cs-1.8.report.json",
      ])
    #expect(files["pytorch_model_to_cs-1.8.mdl"]?.starts(with: [0x50, 0x4B, 3, 4]) == true)

    let jobs = try await service.json("GET", "/v1/jobs?status=succeeded")
    let job = try #require((jobs["jobs"] as? [[String: Any]])?.first)
    let url = try #require(job["url"] as? String)
    let part = try await service.send(
      "GET", "\(url)/outputs/config_to_cs-1.8.yaml", headers: ["Range": "bytes=2-5"])
    #expect(part.status == 206)
    #expect(part.body == files["config_to_cs-1.8.yaml"]?[2..<6])
    #expect(try await service.send("DELETE", url).status == 204)
    #expect(try await service.send("GET", url).status == 404)
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("The longest file name that is accepted makes names that are served")
  func longNames() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    let name = String(repeating: "n", count: 176) + ".bin"
    let upload = try await service.upload(name, checkpoint)
    let inline = try JSONSerialization.jsonObject(with: config)
    let job = try await service.json("POST", "/v1/jobs", request(["inline": inline], ["upload": upload]))
    let ended = try await service.wait(try #require(job["url"] as? String), for: "succeeded")
    let files = try await service.outputs(of: ended)
    let stem = name.dropLast(4)
    #expect(
      Set(files.keys) == ["config_to_cs-1.8.yaml", "\(stem)_to_cs-1.8.mdl", "\(stem)_to_cs-1.8.report.json"])
  }

  @Test("The service answers the same bytes as the command line")
  func commandLine() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    let files = try await convertUploads(service)
    let process = Process()
    process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
    let output = folder.appending(path: "cli")
    process.arguments = [
      "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--report", "--output-dir", output.path,
      Fixture.folder.appending(path: "pytorch_model.bin").path, "--config",
      Fixture.folder.appending(path: "config.json").path,
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    for (name, content) in files { #expect(try Data(contentsOf: output.appending(path: name)) == content, "\(name)") }
  }

  @Test("A plan of files that come with the question, as curl -F sends them; none of them stays")
  func plan() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    func ask(_ target: String) async throws -> (status: Int, body: Data, headers: [AnyHashable: Any]) {
      var form = Data()
      for (name, value) in [("model", "auto"), ("src_fmt", "hf"), ("tgt_fmt", target)] {
        form += Data("--x\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n".utf8)
      }
      for (name, file, content) in [("config", "config.json", config), ("checkpoint", "pytorch_model.bin", checkpoint)]
      {
        form += Data(
          "--x\r\nContent-Disposition: form-data; name=\"\(name)\"; filename=\"\(file)\"\r\n\r\n".utf8)
        form += content + Data("\r\n".utf8)
      }
      form += Data("--x--\r\n".utf8)
      return try await service.send(
        "POST", "/v1/plans", body: form, headers: ["Content-Type": "multipart/form-data; boundary=x"])
    }
    let answer = try await ask("cs-1.8")
    #expect(answer.status == 200)
    let plan = try #require(try JSONSerialization.jsonObject(with: answer.body) as? [String: Any])
    #expect(plan["convertible"] as? Bool == true)
    #expect(plan["model"] as? String == "gpt2")
    let inputs = try #require(plan["inputs"] as? [[String: Any]])
    #expect(inputs.compactMap { $0["size"] as? Int }.contains(checkpoint.count))
    // What is refused after the files have come leaves none either.
    #expect(try await ask("nowhere").status == 422)
    for part in ["uploads", "incoming", "work"] {
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: part).path).isEmpty, "\(part)")
    }
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("Shards come out with their index and go in again with it")
  func shards() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    let whole = try await convertUploads(service)
    let params = try await service.upload("params.yaml", try #require(whole["config_to_cs-1.8.yaml"]))
    let model = try await service.upload("gpt2.mdl", try #require(whole["pytorch_model_to_cs-1.8.mdl"]))
    var back = request(["upload": params], ["upload": model])
    back["src_fmt"] = "cs-1.8"
    back["tgt_fmt"] = "hf"
    back["options"] = ["max_shard_size": "4KB", "output_format": "safetensors"]
    let cut = try await service.json("POST", "/v1/jobs", back)
    let pieces = try await service.outputs(of: service.wait(try #require(cut["url"] as? String), for: "succeeded"))
    #expect(pieces.keys.count { $0.hasSuffix(".safetensors") } > 2)
    #expect(pieces.keys.count { $0.hasSuffix(".index.json") } == 1)

    var inputs: [[String: Any]] = []
    // The index first: it is a shard that is left out below.
    for (name, content) in pieces.sorted(by: { $0.key > $1.key })
    where name.hasSuffix(".safetensors") || name.hasSuffix(".index.json") {
      inputs.append(["upload": try await service.upload(name, content)])
    }
    let config = try await service.upload("config.json", try #require(pieces["config.json"]))
    var again = request(["upload": config], [:])
    again["checkpoint"] = inputs
    let job = try await service.json("POST", "/v1/jobs", again)
    let joined = try await service.outputs(of: service.wait(try #require(job["url"] as? String), for: "succeeded"))
    let checkpoint = try #require(joined.first { $0.key.hasSuffix("_to_cs-1.8.mdl") }?.value)
    #expect(checkpoint.count == whole["pytorch_model_to_cs-1.8.mdl"]?.count)

    // One shard less: the error names it, and nothing comes out.
    again["checkpoint"] = Array(inputs.dropLast())
    let short = try await service.json("POST", "/v1/jobs", again)
    let failed = try await service.wait(try #require(short["url"] as? String), for: "failed")
    #expect((failed["error"] as? [String: Any])?["code"] as? String == "unreadable_input")
    #expect((failed["outputs"] as? [Any])?.isEmpty == true)
  }

  @Test("A job that was running at kill -9 runs again after a restart and ends with the same bytes")
  func killed() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    // The download of the checkpoint hangs half way until it is released: the job is surely running when the kill comes.
    let isReleased = Mutex(false)
    let remote = try LoopbackServer { [checkpoint] _, send in
      send("HTTP/1.1 200 OK\r\nContent-Length: \(checkpoint.count)\r\n\r\n")
      send(checkpoint.prefix(2000))
      guard isReleased.withLock({ $0 }) else { return Thread.sleep(forTimeInterval: 20) }
      send(checkpoint.dropFirst(2000))
    }
    defer { remote.stop() }
    let arguments = ["--allow-private-fetch", "127.0.0.1", "--fetch-attempts", "1"]
    let first = try ServiceProcess(folder: folder, arguments: arguments)
    let expected = try await convertUploads(first)
    let configID = try await first.upload("config.json", config)
    let job = try await first.json(
      "POST", "/v1/jobs",
      request(["upload": configID], ["url": "http://127.0.0.1:\(remote.port)/pytorch_model.bin"]))
    let url = try #require(job["url"] as? String)
    _ = try await first.wait(url, for: "running")
    #expect(first.end(SIGKILL) == SIGKILL)
    // No partial output is in the place of outputs; what the attempt had made is swept at the next start.
    #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "outputs/\(job["id"] ?? "")").path))

    let second = try ServiceProcess(folder: folder, arguments: arguments)
    #expect(try await convertUploads(second) == expected)
    let running = try await second.wait(url, for: "running")
    #expect(running["attempt"] as? Int == 2)

    // Graceful stop: at once, although the job hangs, and the job goes back into the queue.
    let start = ContinuousClock.now
    #expect(second.end(SIGTERM) == 0)
    #expect(ContinuousClock.now - start < .seconds(5))
    isReleased.withLock { $0 = true }
    let third = try ServiceProcess(folder: folder, arguments: arguments)
    let ended = try await third.wait(url, for: "succeeded")
    #expect(try await third.outputs(of: ended) == expected)
    #expect(third.end(SIGTERM) == 0)
  }

  @Test("gc says what went, or would go, and the bytes of each kind and of all")
  func collects() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    let cached = folder.appending(path: "cache/files/sha256-1")
    try Data(count: 8192).write(to: cached)
    func collect(_ more: String...) throws -> [String] {
      let process = Process()
      process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
      process.arguments = ["gc", "--data-dir", folder.path, "--cache-limit", "4096"] + more
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let text = try #require(try output.fileHandleForReading.readToEnd())
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }
    func lines(_ verb: String) -> [String] {
      ["download sha256-1"]
        + [
          "0 bytes \(verb): jobs", "0 bytes \(verb): uploads", "0 bytes \(verb): unfinished uploads",
          "8192 bytes \(verb): downloads", "0 bytes \(verb): unfinished downloads", "8192 bytes \(verb): all",
        ]
    }
    #expect(try collect("--dry-run") == lines("would be freed"))
    #expect(FileManager.default.fileExists(atPath: cached.path))
    #expect(try collect() == lines("were freed"))
    #expect(!FileManager.default.fileExists(atPath: cached.path))
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("A second server on the same folder refuses to start; wrong flags are usage errors")
  func refusals() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    let file = folder.appending(path: "zooport.sqlite").path
    for (arguments, status, message) in [
      (["serve", "--port", "0", "--data-dir", folder.path], 1, "another zooport serves"),
      (["serve", "--port", "x"], 2, "Usage: zooport serve"), (["serve", "--zork"], 2, "Usage: zooport serve"),
      (["zork"], 2, "zork"), (["gc", "--dry-run", "--data-dir", folder.path], 0, ""),
      (["gc", "--keep-inputs", "x"], 2, "Usage: zooport gc"),
      (["gc", "--data-dir", folder.appending(path: "none").path], 2, "Usage: zooport gc"),
      (["token", "list", "--data-dir", folder.appending(path: "none").path], 2, "Usage: zooport token list"),
      (["token", "create", "ann", "--data-dir", file], 1, "Error: \(file) cannot be the data folder: Not a"),
      (["serve", "--port", "0", "--data-dir", file], 1, "\(file) cannot be the data folder: Not a directory\""),
      (["inspect", file, "--limit=-1"], 2, "--limit takes a number of entries, 0 or more."),
      (
        ["plan", file, "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--limit=-1"], 2,
        "--limit takes a number of tensors, 0 or more."
      ),
    ] {
      let process = Process()
      process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
      process.arguments = arguments
      process.standardOutput = FileHandle.nullDevice
      let errors = Pipe()
      process.standardError = errors
      try process.run()
      let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == Int32(status), "\(arguments)")
      // JSON escapes slashes.
      #expect(message.isEmpty || text.replacing("\\/", with: "/").contains(message), "\(arguments): \(text)")
    }
    #expect(service.end(SIGTERM) == 0)
  }
}
