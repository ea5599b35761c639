import Foundation
import TestSupport
import Testing

/// What conversions of repositories write, and what plans promise of it, through the real binary.
@Suite("Hub outputs, end to end", .enabled(if: ServiceProcess.binary != nil && Sample.isPresent), .serialized)
struct HubOutputsTests {
  private let desk: HubDesk

  init() throws { desk = try HubDesk() }

  private func names(_ folder: URL) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
  }

  // MARK: Carried files

  @Test("Carried files appear with the other outputs or not at all, and replace nobody's file")
  func carried() throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let hub = try desk.hub()
    defer { hub.stop() }
    let target = desk.folder.appending(path: "out")
    let tokenizer = target.appending(path: "tokenizer.json")
    let arguments = ["convert", "hub://owner/gpt2", "--carry"] + HubDesk.formats + ["--output-dir", target.path]
    // The config cannot be converted: nothing is left.
    hub.change("owner/gpt2") {
      $0.files["config.json"] = HubDesk.file(
        String(decoding: desk.config, as: UTF8.self).replacing(
          "\"reorder_and_upcast_attn\": false", with: "\"reorder_and_upcast_attn\": true"))
    }
    let failed = try desk.run(arguments, hub: hub)
    #expect(failed.status == 3, "\(failed.errors)")
    #expect(names(target).isEmpty)

    hub.change("owner/gpt2") { $0.files["config.json"] = HubDesk.file(desk.config, isLarge: false) }
    try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
    try Data("mine".utf8).write(to: tokenizer)
    let refused = try desk.run(arguments, hub: hub)
    #expect(refused.status == 1)
    #expect(refused.errors.contains("tokenizer.json exists already"), "\(refused.errors)")
    #expect(names(target) == ["tokenizer.json"])
    #expect(try Data(contentsOf: tokenizer) == Data("mine".utf8))

    try FileManager.default.removeItem(at: tokenizer)
    // The second time it is there, and equal.
    for _ in 0..<2 {
      let result = try desk.run(arguments + ["--report"], hub: hub)
      #expect(result.status == 0, "\(result.errors)")
      var outputs = try desk.contents(target)
      #expect(outputs.removeValue(forKey: "tokenizer.json") == Data(#"{"a": 1}"#.utf8))
      #expect(outputs.removeValue(forKey: "pytorch_model_to_cs-1.8.report.json") != nil)
      #expect(outputs == expected)
    }
    // The config's repository brings them for a checkpoint that is here.
    let beside = desk.folder.appending(path: "beside")
    let local = try desk.run(
      [
        "convert", Sample.folder.appending(path: "pytorch_model.bin").path, "--config", "hub://owner/gpt2", "--carry",
      ] + HubDesk.formats + ["--output-dir", beside.path], hub: hub)
    #expect(local.status == 0, "\(local.errors)")
    #expect(try desk.contents(beside)["tokenizer.json"] == Data(#"{"a": 1}"#.utf8))
  }

  @Test("A job carries files of the repository of its config beside an upload, and into the folder of shards")
  func carriedByJobs() async throws {
    defer { desk.leave() }
    let hub = try desk.hub()
    defer { hub.stop() }
    let service = try desk.serve(hub)
    let upload = try await service.upload("pytorch_model.bin", desk.checkpoint)
    var body = desk.request(["upload": upload])
    body["config"] = ["hub": "owner/gpt2", "carry": true]
    let job = try await service.wait(desk.url(service.json("POST", "/v1/jobs", body)), for: "succeeded")
    #expect(try await service.outputs(of: job)["tokenizer.json"] == Data(#"{"a": 1}"#.utf8))

    // The other way, in shards: from_pretrained finds all of it in one folder, and a job has all of it as outputs.
    let model = try desk.expected()
    hub.change("owner/cs") {
      $0.files = ["tokenizer.json": HubDesk.file(#"{"b": 2}"#)]
      $0.files["config.yaml"] = HubDesk.file(String(decoding: model["config_to_cs-1.8.yaml"] ?? Data(), as: UTF8.self))
      $0.files["model.mdl"] = HubDesk.file(model["pytorch_model_to_cs-1.8.mdl"] ?? Data())
    }
    let shardSize = desk.checkpoint.count / 3
    var back = desk.request(["hub": "owner/cs", "carry": true], options: ["max_shard_size": shardSize])
    (back["src_fmt"], back["tgt_fmt"]) = ("cs-1.8", "hf")
    let sharded = try await service.wait(desk.url(service.json("POST", "/v1/jobs", back)), for: "succeeded")
    let outputs = try await service.outputs(of: sharded)
    #expect(outputs["tokenizer.json"] == Data(#"{"b": 2}"#.utf8))
    #expect(outputs["pytorch_model.bin.index.json"] != nil)
    let target = desk.folder.appending(path: "sharded")
    let local = try desk.run(
      [
        "convert", "hub://owner/cs", "--carry", "--model", "gpt2", "--src-fmt", "cs-1.8", "--tgt-fmt", "hf",
        "--max-shard-size", "\(shardSize)", "--output-dir", target.path,
      ], hub: hub)
    #expect(local.status == 0, "\(local.errors)")
    let folder = try #require(names(target).first)
    #expect(names(target).count == 1)
    #expect(Set(names(target.appending(path: folder))) == Set(outputs.keys.filter { !$0.hasSuffix("report.json") }))

    // Too large to be carried: said from its head, and not downloaded.
    hub.reset()
    hub.change("owner/gpt2") { $0.files["tokenizer.json"] = TestHub.File(beginning: Data(), size: 50 << 30) }
    let refused = try await service.wait(
      desk.url(service.json("POST", "/v1/jobs", desk.request(["hub": "owner/gpt2", "carry": true]))), for: "failed")
    #expect((refused["error"] as? [String: Any])?["code"] as? String == "hostile_input", "\(refused)")
    #expect(hub.bytesSent("tokenizer.json") == 0)
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("Where there is nothing to carry, command line and jobs say so")
  func nothingToCarry() async throws {
    defer { desk.leave() }
    let hub = try desk.hub()
    defer { hub.stop() }
    hub.change("owner/gpt2") { $0.files["tokenizer.json"] = nil }
    let warning = "nothing to carry: hub://owner/gpt2@main has no tokenizer or generation file"
    let result = try desk.run(
      ["convert", "hub://owner/gpt2", "--carry", "--output-dir", desk.folder.appending(path: "out").path]
        + HubDesk.formats, hub: hub)
    #expect(result.status == 0)
    #expect(result.errors.contains("WARNING: \(warning)\n"), "\(result.errors)")
    let service = try desk.serve(hub)
    let job = try await service.wait(
      desk.url(service.json("POST", "/v1/jobs", desk.request(["hub": "owner/gpt2", "carry": true]))), for: "succeeded")
    #expect((job["warnings"] as? [String])?.first == warning, "\(job)")
    #expect(service.end(SIGTERM) == 0)
  }

  // MARK: Interruptions

  @Test("An interrupted conversion leaves no output, no temporary folder, and a status that says so")
  func interrupted() async throws {
    defer { desk.leave() }
    let hub = try desk.hub()
    defer { hub.stop() }
    // The headers come, and the tensors do not; or not even the config.
    let stalls: [(isLate: Bool, fault: @Sendable (TestHub.Request) -> TestHub.Fault?)] = [
      (true, { $0.isStore && $0.index >= 3 ? .stall(after: 10, seconds: 20) : nil }),
      (false, { $0.path == "config.json" && $0.method == "GET" ? .stall(after: 1, seconds: 20) : nil }),
    ]
    for (index, (number, status)) in [(SIGINT, Int32(130)), (SIGTERM, 143)].enumerated() {
      hub.reset()
      hub.script(stalls[index].fault)
      let (target, temporary) = (desk.folder.appending(path: "out"), desk.folder.appending(path: "tmp"))
      try FileManager.default.createDirectory(at: temporary, withIntermediateDirectories: true)
      let process = try desk.start(
        ["convert", "hub://owner/gpt2", "--stream"] + HubDesk.formats + ["--output-dir", target.path], hub: hub,
        environment: [
          "TMPDIR": temporary.path, "XDG_CACHE_HOME": desk.folder.appending(path: "cache-\(status)").path,
        ])
      let deadline = ContinuousClock.now + .seconds(30)
      func isReached() -> Bool {
        stalls[index].isLate
          ? hub.requests.count(where: \.isStore) >= 5 && !names(target).isEmpty
          : hub.requests.contains { $0.path == "config.json" && $0.method == "GET" }
      }
      while !isReached(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(10)) }
      #expect(isReached())
      kill(process.processIdentifier, number)
      let end = ContinuousClock.now + .seconds(5)
      while process.isRunning, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(10)) }
      #expect(!process.isRunning)
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      #expect(process.terminationReason == .exit)
      #expect(process.terminationStatus == status)
      #expect(names(target).isEmpty)
      #expect(names(temporary).isEmpty)
      let errors = try String(contentsOf: desk.folder.appending(path: "stderr"), encoding: .utf8)
      #expect(errors.hasSuffix("ERROR: interrupted; no output is left\n"), "\(errors)")
    }
  }

  // MARK: Caches

  @Test("A plan counts what it fetched, and nothing that was there; a cache that cannot be used is named")
  func caches() throws {
    defer { desk.leave() }
    let hub = try TestHub(["owner/shards": .init(desk.shards())])
    defer { hub.stop() }
    let arguments = ["plan", "hub://owner/shards", "--json"] + HubDesk.formats
    func fetched() throws -> Int? {
      hub.reset()
      let result = try desk.run(arguments, hub: hub)
      #expect(result.status == 0, "\(result.errors)")
      let plan = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
      return (plan?["planning"] as? [String: Any])?["bytes_fetched"] as? Int
    }
    for isFirst in [true, false] {
      #expect(try fetched() == hub.bytesSent - hub.bytesSent(""))
      #expect((hub.bytesSent("config.json") > 0) == isFirst)
    }
    let blocked = desk.folder.appending(path: "blocked")
    try Data().write(to: blocked)
    let result = try desk.run(arguments, hub: hub, environment: ["XDG_CACHE_HOME": blocked.path])
    #expect(result.status == 1)
    #expect(
      result.errors
        == "ERROR: the cache \(blocked.path)/zooport cannot be used: Not a directory; XDG_CACHE_HOME names another place "
        + "for it\n")
  }

  // MARK: Disks

  @Test("Each disk is asked for what goes to it: downloads to the cache, outputs to their folder")
  func disks() throws {
    defer { desk.leave() }
    let memory = URL(filePath: "/dev/shm/zooport-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: memory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: memory) }
    func left(_ folder: URL) throws -> Int {
      let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
      return try #require(attributes[.systemFreeSize] as? Int)
    }
    let folders = try [memory, desk.folder].sorted { try left($0) < left($1) }
    let (tight, roomy) = (folders[0], folders[1])
    // More than one disk has, less than the other.
    let floor = try (left(tight) + left(roomy)) / 2
    try #require(try left(roomy) - floor > 1 << 28, "the disks are too much alike")
    let hub = try desk.hub()
    defer { hub.stop() }
    func convert(cache: URL, output: URL) throws -> HubDesk.Output {
      try desk.run(
        ["convert", "hub://owner/gpt2"] + HubDesk.formats + ["--output-dir", output.appending(path: "out").path],
        hub: hub,
        environment: ["XDG_CACHE_HOME": cache.path, "ZOOPORT_DISK_FLOOR": "\(floor)"])
    }
    for (cache, output) in [(tight, roomy), (roomy, tight)] {
      let refused = try convert(cache: cache, output: output)
      #expect(refused.status == 1, "\(refused.errors)")
      #expect(refused.errors.contains("bytes of disk"), "\(refused.errors)")
      #expect(hub.bytesSent("pytorch_model.bin") == 0)
      #expect(names(output.appending(path: "out")).isEmpty)
    }
    let result = try convert(cache: roomy, output: roomy)
    #expect(result.status == 0, "\(result.errors)")
    // With nothing to download the plan still says what the outputs take.
    let late = try convert(cache: roomy, output: tight)
    #expect(late.status == 1)
    #expect(late.errors.contains("the outputs take"), "\(late.errors)")
    #expect(names(tight.appending(path: "out")).isEmpty)
  }

  // MARK: Plans

  @Test("A plan counts what a job that starts now would download, and nothing else")
  func totals() async throws {
    defer { desk.leave() }
    let hub = try desk.hub()
    defer { hub.stop() }
    func plan(_ arguments: String...) throws -> (download: Int?, remote: [String: Bool]) {
      let result = try desk.run(["plan"] + arguments + HubDesk.formats + ["--json"], hub: hub)
      let plan = try #require(
        try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any], "\(result.errors)")
      return (try Self.download(plan), try Self.remote(plan))
    }
    let size = desk.checkpoint.count
    let first = try plan("hub://owner/gpt2")
    #expect(first.download == size)
    #expect(first.remote == ["config.json": false, "pytorch_model.bin": true])
    // A part is here already.
    let partial = desk.folder.appending(path: "cache/zooport/partial/sha256-\(HubDesk.file(desk.checkpoint).sha256)")
    try desk.checkpoint.prefix(1000).write(to: partial)
    #expect(try plan("hub://owner/gpt2").download == size - 1000)
    try FileManager.default.removeItem(at: partial)
    _ = try desk.convert("hub://owner/gpt2", hub: hub)
    let cached = try plan("hub://owner/gpt2")
    #expect(cached.download == 0)
    #expect(cached.remote == ["config.json": false, "pytorch_model.bin": false])

    let service = try desk.serve(hub)
    var body = desk.request(["hub": "owner/gpt2", "carry": true])
    body["config"] = ["inline": try JSONSerialization.jsonObject(with: desk.config)]
    let answer = try await service.json("POST", "/v1/plans", body)
    #expect(answer["convertible"] as? Bool == true, "\(answer)")
    // The tokenizer comes with a job, though no plan reads it.
    #expect(try Self.download(answer) == size + Data(#"{"a": 1}"#.utf8).count)
    #expect(try Self.remote(answer) == ["config.json": false, "pytorch_model.bin": true])
    #expect(service.end(SIGTERM) == 0)
  }

  private static func download(_ plan: [String: Any]) throws -> Int {
    try #require((plan["totals"] as? [String: Any])?["bytes_to_download"] as? Int, "\(plan)")
  }

  private static func remote(_ plan: [String: Any]) throws -> [String: Bool] {
    try #require(plan["inputs"] as? [[String: Any]]).reduce(into: [:]) { found, input in
      found[try #require(input["name"] as? String)] = try #require(input["remote"] as? Bool)
    }
  }

  // MARK: Streams

  @Test("convert --stream reads ranges, stores nothing of the weights, and has the same outputs")
  func stream() throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let hub = try desk.hub()
    defer { hub.stop() }
    #expect(try desk.convert("hub://owner/gpt2", "--stream", hub: hub) == expected)
    let reads = hub.requests.filter { $0.isStore && $0.method == "GET" }
    #expect(!reads.isEmpty && reads.allSatisfy { $0.range != nil })
    let cache = desk.folder.appending(path: "cache/zooport")
    for folder in ["files", "partial"] {
      for (name, bytes) in try desk.contents(cache.appending(path: folder)) { #expect(bytes.count < 2000, "\(name)") }
    }
  }

  @Test("A file that changes while it is streamed ends the conversion, and nothing is left")
  func changes() throws {
    defer { desk.leave() }
    let hub = try desk.hub()
    defer { hub.stop() }
    var other = desk.checkpoint
    other[other.count / 2] ^= 0xFF
    let changed = HubDesk.file(other)
    hub.script { [unowned hub] request in
      // The headers were of one version, the tensors are of another of the same size.
      if request.isStore, request.index == 2 { hub.change("owner/gpt2") { $0.files["pytorch_model.bin"] = changed } }
      return nil
    }
    let target = desk.folder.appending(path: "out")
    // A file of a commit cannot change; that of a URL can.
    let url = "\(hub.storeEndpoint)/owner/gpt2/\(HubDesk.commit)/pytorch_model.bin"
    let config = Sample.folder.appending(path: "config.json").path
    let result = try desk.run(
      ["convert", url, "--config", config, "--stream"] + HubDesk.formats + ["--output-dir", target.path],
      environment: ["ZOOPORT_ALLOW_PRIVATE_FETCH": "127.0.0.1"])
    #expect(result.status == 1, "\(result.errors)")
    #expect(result.errors.contains("changed while it was read"), "\(result.errors)")
    #expect(names(target).isEmpty)
  }

  @Test("After kill -9 in the middle of a streamed job the next life has the same outputs")
  func killedStream() async throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let hub = try desk.hub()
    defer { hub.stop() }
    // The headers come, and the tensors do not.
    hub.script { $0.isStore && $0.index >= 3 ? .stall(after: 10, seconds: 20) : nil }
    let first = try desk.serve(hub)
    let job = try desk.url(
      await first.json("POST", "/v1/jobs", desk.request(["hub": "owner/gpt2"], options: ["stream": true])))
    let deadline = ContinuousClock.now + .seconds(30)
    while hub.requests.count(where: \.isStore) < 4, ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(try await first.json("GET", job)["status"] as? String == "running")
    #expect(first.end(SIGKILL) == SIGKILL)
    hub.script { _ in nil }
    let second = try desk.serve(hub)
    let ended = try await second.wait(job, for: "succeeded")
    #expect(ended["attempt"] as? Int == 2)
    let outputs = try await second.outputs(of: ended)
    for (name, content) in expected { #expect(outputs[name] == content, "\(name)") }
    #expect(second.end(SIGTERM) == 0)
  }
}
