import Foundation
import Synchronization
import TestSupport
import Testing

/// Repositories of a hub through the real binary: GPT-2 as Hugging Face has it, and the same in shards.
@Suite("Hub, end to end", .enabled(if: ServiceProcess.binary != nil && Sample.isPresent), .serialized)
struct HubTests {
  private static let commit = HubDesk.commit

  private let desk: HubDesk
  private var folder: URL { desk.folder }
  private var checkpoint: Data { desk.checkpoint }

  init() throws { desk = try HubDesk() }

  // MARK: Help

  private func run(
    _ arguments: [String], hub: TestHub? = nil, environment: [String: String] = [:]
  ) throws -> HubDesk.Output { try desk.run(arguments, hub: hub, environment: environment) }

  private func hub() throws -> TestHub { try desk.hub() }
  private func expected() throws -> [String: Data] { try desk.expected() }
  private func contents(_ folder: URL) throws -> [String: Data] { try desk.contents(folder) }
  private func shards() throws -> [String: TestHub.File] { try desk.shards() }
  private func url(_ job: [String: Any]) throws -> String { try desk.url(job) }

  private func serve(_ hub: TestHub, data: String = "data", _ more: [String] = []) throws -> ServiceProcess {
    try desk.serve(hub, data: data, more)
  }

  private func request(_ checkpoint: [String: Any], options: [String: Any] = [:]) -> [String: Any] {
    desk.request(checkpoint, options: options)
  }

  // MARK: Command line

  @Test("One command converts a repository, a page of it, or a pinned commit, with the bytes of local files")
  func commandLine() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let expected = try expected()
    let hub = try hub()
    defer { hub.stop() }
    let references = [
      "hub://owner/gpt2", "hub://owner/gpt2@\(Self.commit)", "\(hub.endpoint)/owner/gpt2",
      "\(hub.endpoint)/owner/gpt2/tree/main", "\(hub.endpoint)/owner/gpt2/blob/main/pytorch_model.bin",
      "\(hub.endpoint)/owner/gpt2/resolve/main/pytorch_model.bin",
    ]
    for (index, reference) in references.enumerated() {
      let target = folder.appending(path: "out-\(index)")
      let result = try run(
        [
          "convert", reference, "--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir",
          target.path,
        ],
        hub: hub)
      #expect(result.status == 0, "\(reference): \(result.errors)")
      #expect(try contents(target) == expected, "\(reference)")
      let last = String(result.errors.split(separator: "\n").last ?? "")
      #expect(last.wholeMatch(of: /Wrote 2 files, [0-9.]+ [KM]?B, in [0-9.]+ s, [0-9.]+ [KMG]?B\/s/) != nil, "\(last)")
    }
    // Six conversions, one download.
    #expect(hub.bytesSent("pytorch_model.bin") == checkpoint.count)
    let carried = folder.appending(path: "carried")
    _ = try run(
      [
        "convert", references[0], "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--carry",
        "--output-dir",
        carried.path,
      ], hub: hub)
    #expect(try contents(carried)["tokenizer.json"] == Data("{\"a\": 1}".utf8))
  }

  @Test("Refusals of the hub have an exit status and a sentence, and show no token")
  func refusals() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let hub = try hub()
    defer { hub.stop() }
    hub.change("owner/gated") { $0.access = .gated }
    for (reference, part) in [
      ("hub://owner/gated", "gated"), ("hub://owner/none", "no repository"), ("hub://owner/gpt2@none", "none"),
    ] {
      let result = try run(
        ["convert", reference, "--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"], hub: hub,
        environment: ["HF_TOKEN": "hf_secret"])
      #expect(result.status == 5, "\(result.errors)")
      #expect(result.errors.contains(part))
      #expect(!(result.errors + result.output).contains("hf_secret"))
    }
    #expect(hub.requests.contains { $0.authorization == "Bearer hf_secret" })
  }

  @Test("A plan reads headers only, as a table and as JSON, and says no with the reasons")
  func plans() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let hub = try TestHub(["owner/gpt2": .init(try shards())])
    defer { hub.stop() }
    let arguments = ["plan", "hub://owner/gpt2", "--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"]
    let table = try run(arguments, hub: hub)
    #expect(table.status == 0, "\(table.errors)")
    #expect(table.output.hasPrefix("Convertible: gpt2, hf -> "))
    #expect(table.output.contains("transformer_decoder.layers.0.self_attn.proj_q_dense_layer.weight"))
    let json = try run(arguments + ["--json"], hub: hub)
    let plan = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(plan["convertible"] as? Bool == true)
    #expect(plan["commits"] as? [String] == [Self.commit])
    let totals = try #require(plan["totals"] as? [String: Int])
    // The plan has brought config and index into the cache, where a conversion finds them.
    let weights = try shards().filter { $0.key.hasSuffix(".safetensors") }
    #expect(totals["bytes_to_download"] == weights.values.reduce(0) { $0 + $1.size })
    let inputs = try #require(plan["inputs"] as? [[String: Any]])
    for input in inputs {
      #expect(input["remote"] as? Bool == (input["name"] as? String)?.hasSuffix(".safetensors"), "\(input)")
    }

    // The same over REST, and what a job would be refused for.
    let service = try serve(hub)
    let answer = try await service.json("POST", "/v1/plans", request(["hub": "owner/gpt2"]))
    #expect(answer["convertible"] as? Bool == true, "\(answer)")
    #expect((answer["tensors"] as? [Any])?.count == (plan["tensors"] as? [Any])?.count)
    var other = request(["hub": "owner/gpt2"])
    other["model"] = "gptj"
    let refused = try await service.json("POST", "/v1/plans", other)
    #expect(refused["convertible"] as? Bool == false)
    #expect((refused["diagnostics"] as? [Any])?.isEmpty == false)
    let missing = try await service.json("POST", "/v1/plans", request(["hub": "owner/none"]))
    #expect(missing["code"] as? String == "source_not_found")
    #expect(service.end(SIGTERM) == 0)
  }

  // MARK: Service

  @Test(
    "A job is pinned to a commit, says so, and has the outputs of a local conversion; a second job downloads nothing")
  func jobs() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let expected = try expected()
    let hub = try hub()
    defer { hub.stop() }
    hub.change("owner/gpt2") { $0.access = .tokenNeeded("hf_secret") }
    let service = try serve(hub)
    var input: [String: Any] = ["hub": "owner/gpt2", "token": "hf_secret", "carry": true]
    let job = try await service.wait(url(service.json("POST", "/v1/jobs", request(input))), for: "succeeded")
    #expect(!"\(job)".contains("secret"))
    let inputs = try #require(job["inputs"] as? [String: Any])
    let shown = try #require((inputs["checkpoint"] as? [[String: Any]])?.first)
    #expect(shown["commit"] as? String == Self.commit)
    #expect(shown["hub"] as? String == "owner/gpt2")
    let outputs = try await service.outputs(of: job)
    for (name, content) in expected { #expect(outputs[name] == content, "\(name)") }
    #expect(outputs["tokenizer.json"] == Data("{\"a\": 1}".utf8))

    input["revision"] = Self.commit
    _ = try await service.wait(url(service.json("POST", "/v1/jobs", request(input))), for: "succeeded")
    #expect(hub.bytesSent("pytorch_model.bin") == checkpoint.count)
    // Neither the database nor anything else on the disk holds the token.
    let data = folder.appending(path: "data")
    for name in try FileManager.default.subpathsOfDirectory(atPath: data.path) {
      guard let bytes = try? Data(contentsOf: data.appending(path: name)) else { continue }
      #expect(bytes.range(of: Data("hf_secret".utf8)) == nil, "\(name)")
    }
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("submit hands references on, and the token of the hub only when it is told to")
  func submits() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let expected = try expected()
    let hub = try hub()
    defer { hub.stop() }
    let service = try serve(hub)
    func submit(_ arguments: String..., folder: String? = nil, token: String? = "hf_secret") throws -> HubDesk.Output {
      let target = folder.map { ["--output-dir", self.folder.appending(path: $0).path] } ?? ["--wait"]
      var environment = ["ZOOPORT_URL": service.base.absoluteString]
      environment["HF_TOKEN"] = token
      return try run(
        ["submit"] + arguments + ["--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"] + target,
        environment: environment)
    }

    // The page of the model; the server knows that it is one.
    for page in ["owner/gpt2", "owner/gpt2/tree/main"] {
      let streamed = try submit("\(hub.endpoint)/\(page)", "--stream", folder: "streamed", token: nil)
      #expect(streamed.status == 0, "\(streamed.errors)")
      let outputs = try contents(folder.appending(path: "streamed"))
      for (name, content) in expected { #expect(outputs[name] == content, "\(name)") }
      #expect(outputs["tokenizer.json"] == nil)
      try FileManager.default.removeItem(at: folder.appending(path: "streamed"))
    }
    let reads = hub.requests.filter { $0.isStore && $0.method == "GET" && $0.path == "pytorch_model.bin" }
    #expect(!reads.isEmpty && reads.allSatisfy { $0.range != nil })

    hub.change("owner/gpt2") { $0.access = .tokenNeeded("hf_secret") }
    let refused = try submit("hub://owner/gpt2")
    #expect(refused.status == 5, "\(refused.errors)")
    #expect(!hub.requests.contains { $0.authorization != nil })
    #expect(try submit("hub://owner/gpt2", "--hub-token", token: nil).errors.contains("HF_TOKEN"))

    let carried = try submit("hub://owner/gpt2@\(Self.commit)", "--carry", "--hub-token", folder: "carried")
    #expect(carried.status == 0, "\(carried.errors)")
    let outputs = try contents(folder.appending(path: "carried"))
    for (name, content) in expected { #expect(outputs[name] == content, "\(name)") }
    #expect(outputs["tokenizer.json"] == Data("{\"a\": 1}".utf8))
    let id = try #require(carried.output.split(separator: "\n").first)
    let job = try await service.json("GET", "/v1/jobs/\(id)")
    #expect(!"\(job)".contains("secret"))

    hub.change("owner/gpt2") { $0.access = .open }
    let config = try submit("convert-config", "hub://owner/gpt2", folder: "config")
    #expect(config.status == 0, "\(config.errors)")
    #expect(
      try contents(folder.appending(path: "config"))["config_to_cs-1.8.yaml"] == expected["config_to_cs-1.8.yaml"])

    let local = Sample.folder.appending(path: "pytorch_model.bin").path
    for (arguments, part) in [
      ([local], "--config is missing"), ([local, "--config", local, "--carry"], "--carry is for a repository"),
      ([local, "--config", local, "--hub-token"], "--hub-token is for a repository"),
    ] {
      let result = try run(
        ["submit"] + arguments + ["--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"],
        environment: ["ZOOPORT_URL": service.base.absoluteString])
      #expect(result.status == 2)
      #expect(result.errors.contains(part), "\(result.errors)")
    }
    #expect(try submit("\(hub.endpoint)/datasets/x", "--carry").status == 2)
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("After kill -9 in the middle of a download nothing that came is fetched again")
  func killed() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let expected = try expected()
    let hub = try hub()
    defer { hub.stop() }
    let half = checkpoint.count / 2
    hub.script { $0.isStore && $0.index == 0 ? .stall(after: half, seconds: 20) : nil }
    let first = try serve(hub, [])
    let job = try url(await first.json("POST", "/v1/jobs", request(["hub": "owner/gpt2"])))
    let partial = folder.appending(path: "data/cache/partial")
    let deadline = ContinuousClock.now + .seconds(15)
    var size = 0
    while size < half, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(20))
      for name in (try? FileManager.default.contentsOfDirectory(atPath: partial.path)) ?? []
      where !name.hasSuffix("json") {
        let attributes = try? FileManager.default.attributesOfItem(atPath: partial.appending(path: name).path)
        size = max(size, attributes?[.size] as? Int ?? 0)
      }
    }
    #expect(size == half)
    #expect(first.end(SIGKILL) == SIGKILL)
    hub.script { _ in nil }

    let second = try serve(hub)
    let ended = try await second.wait(job, for: "succeeded")
    #expect(ended["attempt"] as? Int == 2)
    let outputs = try await second.outputs(of: ended)
    for (name, content) in expected { #expect(outputs[name] == content, "\(name)") }
    #expect(hub.bytesSent("pytorch_model.bin") == checkpoint.count)
    #expect(hub.requests.filter(\.isStore).map(\.range) == [nil, "bytes=\(half)-"])
    #expect(second.end(SIGTERM) == 0)
  }

  @Test("A restart repeats no download that was finished")
  func restarted() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = try shards()
    let hub = try TestHub(["owner/gpt2": .init(files)])
    defer { hub.stop() }
    let weights = files.keys.filter { $0.hasSuffix(".safetensors") }.sorted()
    let last = try #require(weights.last)
    hub.script { $0.isStore && $0.path == last && $0.index == 0 ? .stall(after: 1000, seconds: 20) : nil }
    let first = try serve(hub)
    let job = try url(await first.json("POST", "/v1/jobs", request(["hub": "owner/gpt2"])))
    let complete = folder.appending(path: "data/cache/files")
    let deadline = ContinuousClock.now + .seconds(15)
    // Config, index, and all shards but one.
    while ContinuousClock.now < deadline {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: complete.path)) ?? []
      if names.count >= weights.count + 1, hub.bytesSent(last) == 1000 { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(first.end(SIGTERM) == 0)
    hub.script { _ in nil }
    let second = try serve(hub)
    _ = try await second.wait(job, for: "succeeded")
    for (name, file) in files where file.size > 0 { #expect(hub.bytesSent(name) == file.size, "\(name)") }
    #expect(second.end(SIGTERM) == 0)
  }

  @Test("Two jobs of one repository at the same time download it once, shards in parallel")
  func singleFlight() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = try shards()
    let hub = try TestHub(["owner/gpt2": .init(files)])
    defer { hub.stop() }
    hub.script { $0.isStore ? .slow(0.05) : nil }
    let service = try serve(hub, ["--workers", "2"])
    let urls = [
      try url(await service.json("POST", "/v1/jobs", request(["hub": "owner/gpt2"]))),
      try url(await service.json("POST", "/v1/jobs", request(["hub": "hub://owner/gpt2@\(Self.commit)"]))),
    ]
    for url in urls { _ = try await service.wait(url, for: "succeeded") }
    for (name, file) in files where name.hasSuffix(".safetensors") {
      #expect(hub.bytesSent(name) == file.size, "\(name)")
    }
    #expect(service.end(SIGTERM) == 0)
  }

  @Test(
    "A streamed job has the same outputs, stores nothing of the input, and survives drops", arguments: [true, false])
  func streaming(isSharded: Bool) async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = isSharded ? try shards() : [:]
    let hub = isSharded ? try TestHub(["owner/gpt2": .init(files)]) : try hub()
    defer { hub.stop() }
    let plain = try serve(hub)
    let stored = try await plain.wait(
      url(plain.json("POST", "/v1/jobs", request(["hub": "owner/gpt2"]))), for: "succeeded")
    let expected = try await plain.outputs(of: stored)
    #expect(plain.end(SIGTERM) == 0)

    hub.reset()
    hub.script { $0.isStore && $0.index % 3 == 1 ? .drop(after: 100) : nil }
    let service = try serve(hub, data: "streaming")
    let job = try await service.wait(
      url(service.json("POST", "/v1/jobs", request(["hub": "owner/gpt2"], options: ["stream": true]))), for: "succeeded"
    )
    let outputs = try await service.outputs(of: job)
    #expect(Set(outputs.keys) == Set(expected.keys))
    for (name, content) in expected where !name.hasSuffix("report.json") {
      #expect(outputs[name] == content, "\(name)")
    }
    let kept = try FileManager.default.subpathsOfDirectory(atPath: folder.appending(path: "streaming/cache/files").path)
    for name in kept {
      let size = try Data(contentsOf: folder.appending(path: "streaming/cache/files/\(name)")).count
      #expect(size < 20_000, "\(name)")
    }
    #expect(hub.requests.filter { $0.isStore && $0.method == "GET" }.allSatisfy { $0.range != nil })
    #expect(service.end(SIGTERM) == 0)
  }
}
