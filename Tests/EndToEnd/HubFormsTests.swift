import Foundation
import TestSupport
import Testing

/// The forms that references, hubs and answers take, through the real binary.
@Suite("Hub forms, end to end", .enabled(if: ServiceProcess.binary != nil && Sample.isPresent), .serialized)
struct HubFormsTests {
  private let desk: HubDesk

  init() throws { desk = try HubDesk() }

  private static let junk = HubDesk.file(Data("no checkpoint".utf8))

  /// A repository of many models, one of which is meant. It has no owner, and its hub is below a path.
  private func crowded() throws -> TestHub {
    let (config, checkpoint) = (HubDesk.file(desk.config, isLarge: false), HubDesk.file(desk.checkpoint))
    let hub = try TestHub([
      "gpt2": .init([
        "config.json": config, "pytorch_model.bin": Self.junk, "pytorch_model.fp16.bin": checkpoint,
        "a b/config.json": config, "a b/pytorch_model.bin": checkpoint, "odd/config.json": HubDesk.file("{}"),
        "odd/config_v2.json": config, "odd/weights.bin": checkpoint, "odd/other.bin": Self.junk,
      ])
    ])
    hub.move(below: "/models/hf")
    return hub
  }

  @Test("Folder, variant and files are chosen by flags and pages, for convert, plan and submit alike")
  func choices() async throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let model = expected["pytorch_model_to_cs-1.8.mdl"]
    let yaml = expected["config_to_cs-1.8.yaml"]
    let hub = try crowded()
    defer { hub.stop() }
    let files = ["--file", "odd/config_v2.json", "--file", "odd/weights.bin"]
    let page = "\(hub.endpoint)/gpt2/blob/main/odd/config_v2.json?x=1#L3"
    for (arguments, checkpoint, config) in [
      (["hub://gpt2", "--subfolder", "a b"], "pytorch_model", "config"),
      (["hub://gpt2", "--variant", "fp16"], "pytorch_model.fp16", "config"),
      (["hub://gpt2"] + files, "weights", "config_v2"),
      // Pages of the public hub are those of the mirror.
      (["https://huggingface.co/gpt2/tree/main/a%20b"], "pytorch_model", "config"),
      (["\(hub.endpoint)/gpt2/resolve/main/a%20b/pytorch_model.bin"], "pytorch_model", "config"),
      // The config that is named, and no other.
      (["https://hf.co/gpt2/blob/main/odd/weights.bin", "--config", page], "weights", "config_v2"),
    ] {
      let target = desk.folder.appending(path: UUID().uuidString)
      let result = try desk.run(
        ["convert"] + arguments + HubDesk.formats + ["--output-dir", target.path], hub: hub)
      #expect(result.status == 0, "\(arguments): \(result.errors)")
      let outputs = try desk.contents(target)
      #expect(Set(outputs.keys) == ["\(checkpoint)_to_cs-1.8.mdl", "\(config)_to_cs-1.8.yaml"], "\(arguments)")
      #expect(outputs["\(checkpoint)_to_cs-1.8.mdl"] == model, "\(arguments)")
      #expect(outputs["\(config)_to_cs-1.8.yaml"] == yaml, "\(arguments)")

      let plan = try desk.run(["plan"] + arguments + HubDesk.formats + ["--json"], hub: hub)
      #expect(plan.status == 0, "\(arguments): \(plan.errors)")
      #expect(plan.output.contains("\"\(config).json\""), "\(arguments)")
    }

    let service = try desk.serve(hub)
    for (arguments, name) in [
      (["hub://gpt2", "--subfolder", "a b"], "pytorch_model"),
      (["hub://gpt2", "--variant", "fp16"], "pytorch_model.fp16"),
      (["https://huggingface.co/gpt2"] + files, "weights"),
    ] {
      let target = desk.folder.appending(path: UUID().uuidString)
      let result = try desk.run(
        ["submit"] + arguments + HubDesk.formats + ["--output-dir", target.path],
        environment: ["ZOOPORT_URL": service.base.absoluteString])
      #expect(result.status == 0, "\(arguments): \(result.errors)")
      #expect(try desk.contents(target)["\(name)_to_cs-1.8.mdl"] == model, "\(arguments)")
    }
    // A URL of a config is that config over REST, too.
    var body = desk.request(["hub": "gpt2", "files": ["odd/weights.bin"]])
    body["config"] = ["url": page]
    let job = try await service.wait(desk.url(service.json("POST", "/v1/jobs", body)), for: "succeeded")
    #expect(try await service.outputs(of: job)["config_v2_to_cs-1.8.yaml"] == yaml)
    #expect(service.end(SIGTERM) == 0)

    let local = Sample.folder.appending(path: "pytorch_model.bin").path
    for command in ["convert", "plan"] {
      let refused = try desk.run(
        [command, local, "--config", local, "--variant", "x", "--file", "y"] + HubDesk.formats, hub: hub)
      #expect(refused.status != 0)
      #expect(refused.errors.contains("--variant, --file are for a repository of a hub"), "\(refused.errors)")
    }
  }

  @Test("The URL of a file of a private repository brings token, commit, digest and config over REST")
  func resolved() async throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let hub = try desk.hub()
    defer { hub.stop() }
    hub.change("owner/gpt2") { $0.access = .tokenNeeded("hf_secret") }
    let file = desk.folder.appending(path: "token")
    try Data("hf_secret\n".utf8).write(to: file)
    let service = try desk.serve(hub, ["--hub-token-file", file.path])
    let input = ["url": "\(hub.endpoint)/owner/gpt2/resolve/main/pytorch_model.bin?download=true"]
    let job = try await service.wait(
      desk.url(service.json("POST", "/v1/jobs", desk.request(input))), for: "succeeded")
    let inputs = try #require(job["inputs"] as? [String: Any])
    let shown = try #require((inputs["checkpoint"] as? [[String: Any]])?.first)
    #expect(shown["commit"] as? String == HubDesk.commit)
    #expect(shown["files"] as? [String] == ["pytorch_model.bin"])
    let outputs = try await service.outputs(of: job)
    for (name, content) in expected { #expect(outputs[name] == content, "\(name)") }

    for (input, part) in [
      (["url": "\(hub.endpoint)/datasets/x/y"], "a dataset"), (["url": "https://hf.co/spaces/x/y"], "a space"),
      (["hub": "https://huggingface.co/organizations/x"], "an organisation"),
    ] {
      let refused = try await service.json("POST", "/v1/jobs", desk.request(input))
      #expect(refused["code"] as? String == "invalid_request", "\(refused)")
      let findings = try #require(refused["diagnostics"] as? [[String: Any]])
      #expect(findings.count == 1)
      #expect((findings.first?["message"] as? String)?.contains(part) == true, "\(refused)")
    }
    #expect(service.end(SIGTERM) == 0)
  }

  @Test("A renamed repository, and redirects to another path of the hub, are followed with the token")
  func redirects() throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let hub = try desk.hub("gpt2")
    defer { hub.stop() }
    hub.change("gpt2") { $0.access = .tokenNeeded("hf_secret") }
    hub.rename("gpt2", to: "openai-community/gpt2")
    hub.cacheSmallFiles()
    let target = desk.folder.appending(path: "out")
    let result = try desk.run(
      ["convert", "hub://gpt2", "--carry"] + HubDesk.formats + ["--output-dir", target.path], hub: hub,
      environment: ["HF_TOKEN": "hf_secret"])
    #expect(result.status == 0, "\(result.errors)")
    var outputs = try desk.contents(target)
    #expect(outputs.removeValue(forKey: "tokenizer.json") == Data(#"{"a": 1}"#.utf8))
    #expect(outputs == expected)
    #expect(hub.requests.filter { !$0.isStore }.allSatisfy { $0.authorization == "Bearer hf_secret" })
    #expect(hub.requests.contains { $0.path == "config.json" && $0.method == "GET" })
  }

  @Test(
    "Entity tags of proxies: weak, marked by compression, of another kind; dropped downloads go on or begin again",
    arguments: ["W/\"%\"", "\"%-gzip\"", "\"mtime-%\"", ""])
  func tags(_ form: String) throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    // Both ways that a hub keeps files: behind a digest, and behind a tag alone.
    for isLarge in [true, false] {
      let hub = try TestHub([
        "owner/gpt2": .init([
          "config.json": HubDesk.file(desk.config, isLarge: false),
          "pytorch_model.bin": HubDesk.file(desk.checkpoint, isLarge: isLarge),
        ])
      ])
      defer { hub.stop() }
      hub.tags { form.replacing("%", with: String($0.prefix(12))) }
      hub.script { $0.method == "GET" && $0.path == "pytorch_model.bin" && $0.index == 0 ? .drop(after: 100_000) : nil }
      #expect(try desk.convert("hub://owner/gpt2", hub: hub) == expected, "\(isLarge)")
      let sent = hub.bytesSent("pytorch_model.bin")
      // Only what has a digest or a strong tag may be joined from two answers.
      let isResumed = isLarge || form.hasPrefix("\"")
      #expect(sent == desk.checkpoint.count + (isResumed ? 0 : 100_000), "\(isLarge)")
      #expect(try desk.convert("hub://owner/gpt2", hub: hub) == expected, "\(isLarge)")
      // What has a name by its content was not fetched again.
      if isLarge || !form.isEmpty { #expect(hub.bytesSent("pytorch_model.bin") == sent, "\(isLarge)") }
    }
  }

  @Test("A mirror without an API gives a branch, and carries; Retry-After is waited for")
  func mirror() throws {
    defer { desk.leave() }
    let expected = try desk.expected()
    let hub = try desk.hub()
    defer { hub.stop() }
    hub.script { request in
      if request.path.isEmpty { return .status(405, [:]) }
      return request.path == "config.json" && request.index == 0 ? .status(429, ["Retry-After": "2"]) : nil
    }
    let start = ContinuousClock.now
    var outputs = try desk.convert("hub://owner/gpt2", "--carry", hub: hub)
    #expect(ContinuousClock.now - start >= .seconds(2))
    #expect(outputs.removeValue(forKey: "tokenizer.json") == Data(#"{"a": 1}"#.utf8))
    #expect(outputs == expected)
  }

  @Test("An expired token is named as what it is, whoever gave it, and shown by nobody")
  func expiredToken() async throws {
    defer { desk.leave() }
    let hub = try desk.hub()
    defer { hub.stop() }
    hub.script { request in
      request.authorization == nil
        ? nil : .status(401, ["X-Error-Message": "Invalid credentials in Authorization header"])
    }
    let result = try desk.run(
      ["convert", "hub://owner/gpt2"] + HubDesk.formats, hub: hub, environment: ["HF_TOKEN": "hf_expired"])
    #expect(result.status == 5)
    #expect(result.errors.contains("HF_TOKEN"), "\(result.errors)")
    #expect(!result.errors.contains("hf_expired"))
    let service = try desk.serve(hub)
    let refused = try await service.json(
      "POST", "/v1/plans", desk.request(["hub": "owner/gpt2", "token": "hf_expired"]))
    #expect(refused["code"] as? String == "token_refused", "\(refused)")
    #expect((refused["detail"] as? String)?.contains("given with the input") == true)
    #expect(service.end(SIGTERM) == 0)
  }
}
