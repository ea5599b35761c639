import Crypto
import Foundation
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

@Suite("Hub client")
struct HubClientTests {
  private static let commit = String(repeating: "c0ffee00", count: 5)

  private func listing(_ fixture: HubFixture, _ reference: HubReference, token: String? = nil) async throws
    -> HubClient.Listing
  {
    let client = fixture.fetching.hub
    return try await onThread {
      try client.listing(reference, token: token.flatMap(HubToken.init), isCancelled: { false })
    }.result.get()
  }

  @Test("A listing names the commit; heads state size and digest, and no byte of a file is sent")
  func metadata() async throws {
    let weights = someBytes(5000)
    let fixture = try HubFixture(["config.json": .small("{}"), "a b/model.safetensors": .large(weights)])
    let found = try await listing(fixture, fixture.reference)
    #expect(found.commit == Self.commit)
    #expect(found.files == ["a b/model.safetensors", "config.json"])
    let large = try await fixture.file("a b/model.safetensors")
    #expect(large.size == 5000)
    #expect(large.sha256 == SHA256.hash(data: weights).hexadecimal)
    #expect(large.contentKey == "sha256-\(large.sha256 ?? "")")
    let small = try await fixture.file("config.json")
    #expect(small.size == 2)
    #expect(small.sha256 == nil)
    #expect(small.contentKey?.hasPrefix("tag-") == true)
    #expect(fixture.hub.bytesSent("a b/model.safetensors") == 0)
    // The store was not asked.
    #expect(fixture.hub.requests.allSatisfy { !$0.isStore })
  }

  @Test("Refusals are told apart")
  func refusals() async throws {
    let fixture = try HubFixture(["config.json": .small("{}")])
    fixture.hub.change("owner/gated") { $0.access = .gated }
    fixture.hub.change("owner/private") { $0.access = .tokenNeeded("right") }
    func kind(_ repository: String, revision: String = "main", token: String? = nil) async throws -> ErrorKind? {
      let reference = try HubReference(repository: repository, revision: revision)
      return await transferError { try await listing(fixture, reference, token: token) }?.kind
    }
    #expect(try await kind("owner/gated") == .sourceGated)
    #expect(try await kind("owner/private") == .sourceNotFound)
    #expect(try await kind("owner/private", token: "wrong") == .sourceNotFound)
    #expect(try await kind("owner/private", token: "right") == nil)
    #expect(try await kind("owner/none") == .sourceNotFound)
    #expect(try await kind("owner/model", revision: "none") == .revisionNotFound)
    let missing = await transferError { try await fixture.file("none.bin") }
    #expect(missing?.kind == .fileNotFound)
    #expect(missing?.message.contains("none.bin") == true)
  }

  @Test("429 and 5xx are waited for; other faults are not")
  func patience() async throws {
    let fixture = try HubFixture(["config.json": .small("{}")])
    fixture.hub.script { request in
      switch request.index {
      case 0: .status(429, ["Retry-After": "1"])
      case 1: .status(503, [:])
      default: nil
      }
    }
    let client = fixture.fetching.hub
    let reference = try fixture.reference
    let (result, time) = await onThread { try client.listing(reference, token: nil, isCancelled: { false }) }
    #expect(try result.get().commit == Self.commit)
    #expect(time >= .seconds(1))
    fixture.hub.reset()
    fixture.hub.script { _ in .status(400, ["X-Error-Message": "Odd \u{1B}[31mrevision"]) }
    let refused = await transferError { try await listing(fixture, reference) }
    #expect(refused?.kind == .fetchFailed)
    // What the hub says, without what a terminal would obey.
    #expect(refused?.message.hasSuffix(": Odd [31mrevision") == true, "\(refused?.message ?? "")")
    #expect(fixture.hub.requests.count == 1)
  }

  @Test("A token that is no longer good is told from a repository that is not there, and whose it is")
  func refusedTokens() async throws {
    let fixture = try HubFixture(["config.json": .small("{}")], token: "of-operator")
    let reference = try fixture.reference
    // So does the hub, for open repositories too.
    fixture.hub.script { request in
      request.authorization == nil
        ? nil : .status(401, ["X-Error-Message": "Invalid credentials in Authorization header"])
    }
    let ours = await transferError { try await listing(fixture, reference) }
    #expect(ours?.kind == .tokenRefused)
    #expect(ours?.message.contains("HF_TOKEN") == true)
    let theirs = await transferError { try await listing(fixture, reference, token: "of-request") }
    #expect(theirs?.kind == .tokenRefused)
    #expect(theirs?.message.contains("given with the input") == true)
    let head = await transferError { try await fixture.file("config.json") }
    #expect(head?.kind == .tokenRefused)
    for error in [ours, theirs, head] {
      #expect(error?.message.contains("of-operator") == false && error?.message.contains("of-request") == false)
    }
  }

  @Test("The page of an organisation cannot be told from an old model; the refusal says so")
  func organisations() async throws {
    let fixture = try HubFixture([:])
    let error = await transferError { try await listing(fixture, try HubReference(repository: "EleutherAI")) }
    #expect(error?.kind == .sourceNotFound)
    #expect(error?.message.contains("EleutherAI/NAME") == true)
  }

  /// What a reference stands for: names of config, checkpoint and carried files, and the commit.
  private func resolve(
    _ fixture: HubFixture, _ change: (inout HubInput) -> Void = { _ in }
  ) async throws -> (names: [String], commit: String?) {
    var hub = HubInput(reference: try fixture.reference)
    change(&hub)
    let input = JobInput.hub(hub, try #require(FileName("model")))
    let resolver = fixture.resolver()
    let resolved = try await onThread { try resolver.resolve(config: input, checkpoint: [input]) }.result.get()
    guard case .hub(let pinned, _) = resolved.pinned.checkpoint[0] else { return ([], nil) }
    let names = [resolved.configs[0].name] + resolved.checkpoint.map(\.name) + resolved.carried.map(\.name)
    return (names.map(\.description), pinned.commit)
  }

  @Test("A mirror that lists no files is asked for the standard names", arguments: [403, 404, 405, 501, 200])
  func withoutAPI(_ status: Int) async throws {
    let fixture = try HubFixture([
      "config.json": .small("{}"), "pytorch_model.bin": .large(someBytes(10)), "tokenizer.json": .small("{}"),
      "model.fp16.safetensors": .large(someBytes(20)), "sub/config.yaml": .small("{}"),
      "sub/model.safetensors": .large(someBytes(30)), "sub/odd.bin": .large(someBytes(30)),
    ])
    let isEmpty = status == 200
    if isEmpty { fixture.hub.hideFiles() } else { fixture.hub.script { $0.path.isEmpty ? .status(status, [:]) : nil } }
    let main = try await resolve(fixture) { $0.carry = true }
    #expect(main.names == ["config.json", "pytorch_model.bin", "tokenizer.json"])
    // No API said so: the head of a file did.
    #expect(main.commit == Self.commit)
    #expect(fixture.hub.requests.filter { !$0.path.isEmpty }.allSatisfy { $0.method == "HEAD" })
    #expect(
      try await resolve(fixture) { $0.reference.variant = "fp16" }.names == ["config.json", "model.fp16.safetensors"])
    #expect(
      try await resolve(fixture) { $0.reference.subfolder = "sub" }.names == ["config.yaml", "model.safetensors"])
    let named = try await resolve(fixture) { $0.reference.files = ["sub/config.yaml", "sub/odd.bin"] }
    #expect(named.names == ["config.yaml", "odd.bin"])
    fixture.hub.reset()
    let missing = await transferError { try await resolve(fixture) { $0.reference.subfolder = "none" }.names }
    #expect(missing?.kind == (isEmpty ? .fileNotFound : .sourceNotFound))
    #expect(missing?.message.contains("none/config.json") == true)
    let other = await transferError { try await resolve(fixture) { $0.reference.revision = "none" }.names }
    #expect(other?.kind == .revisionNotFound)
  }

  @Test("Configs and carried files have a limit, before a byte of them is sent")
  func limits() async throws {
    let fixture = try HubFixture([
      "config.json": .small("{}"), "huge.json": TestHub.File(beginning: Data(), size: 17 << 20),
      "model.safetensors": .large(someBytes(10)), "tokenizer.json": TestHub.File(beginning: Data(), size: 50 << 30),
      "x/config.json": .small("{}"), "x/model.safetensors.index.json": TestHub.File(beginning: Data(), size: 257 << 20),
    ])
    let config = await transferError {
      try await resolve(fixture) { $0.reference.files = ["huge.json", "model.safetensors"] }.names
    }
    #expect(config?.kind == .hostileInput)
    #expect(config?.message.contains("huge.json has \(17 << 20) bytes") == true)
    let tokenizer = await transferError { try await resolve(fixture) { $0.carry = true }.names }
    #expect(tokenizer?.kind == .hostileInput)
    #expect(tokenizer?.message.contains("at most \(256 << 20)") == true)
    let index = await transferError { try await resolve(fixture) { $0.reference.subfolder = "x" }.names }
    #expect(index?.kind == .hostileInput)
    #expect(fixture.hub.requests.allSatisfy { $0.method == "HEAD" || $0.path.isEmpty })
    // The server said nothing of the size, or lied: the download ends at the limit.
    var remote = try await fixture.file("model.safetensors")
    (remote.size, remote.sha256, remote.limit) = (nil, nil, 9)
    let (resolver, path, bounded) = (fixture.resolver(), fixture.folder.path.appending("bounded"), remote)
    let late = await transferError {
      try await onThread {
        try ResumableDownload(
          bounded, to: path, fetcher: resolver.fetcher(for: bounded), isCancelled: { false }, progress: { _ in }
        ).run()
      }.result.get()
    }
    #expect(late?.message.contains("the limit of the service is 9") == true, "\(late?.message ?? "")")
  }

  @Test("A mirror without commit headers serves a pinned revision, and says so of a branch")
  func mirror() async throws {
    let fixture = try HubFixture(["config.json": .small("{}"), "model.bin": .large(someBytes(10))])
    fixture.hub.omitCommits()
    fixture.hub.script { $0.path.isEmpty ? .status(404, [:]) : nil }
    var reference = try fixture.reference
    let error = await transferError { try await resolve(fixture).names }
    #expect(error?.kind == .fetchFailed)
    #expect(error?.message.contains("name the commit") == true)
    reference.revision = Self.commit
    let pinned = try await resolve(fixture) {
      $0.reference.revision = Self.commit
      $0.reference.files = ["model.bin"]
    }
    #expect(pinned.names == ["config.json", "model.bin"])
    #expect(try await listing(fixture, reference).commit == Self.commit)
    #expect(try await fixture.file("model.bin").size == 10)
  }

  @Test("A mirror that redirects without saying how large a file is has its store asked, without the token")
  func silentMirror() async throws {
    let weights = someBytes(3000)
    let tokens = Mutex<[String?]>([])
    let store = try LoopbackServer.answering { request, send in
      tokens.withLock { $0.append(request.header("Authorization")) }
      FileAnswer(bytes: weights, headers: ["ETag: \"1\""]).send(to: request, send)
    }
    defer { store.stop() }
    let fixture = try HubFixture(["model.safetensors": .large(weights)], token: "secret")
    let port = store.port
    fixture.hub.script { $0.path.isEmpty ? nil : .redirect("http://127.0.0.1:\(port)/x?signature=1") }
    let remote = try await fixture.file("model.safetensors")
    #expect(remote.size == 3000)
    #expect(remote.tag == "\"1\"")
    #expect(remote.contentKey?.hasPrefix("tag-") == true)
    #expect(try await fixture.download(remote) == weights)
    #expect(tokens.withLock { $0 } == [nil, nil])
  }

  @Test("A token that a hub or its store echoes is not in the message")
  func echo() async throws {
    let fixture = try HubFixture(
      ["config.json": .small("{}"), "model.bin": .large(someBytes(10))], token: "of-operator")
    let reference = try fixture.reference
    for status in [400, 401, 429, 500] {
      fixture.hub.script { request in
        request.authorization.map { .status(status, ["X-Error-Message": "no good: '\($0)', '\($0)'"]) }
      }
      let ours = await transferError { try await listing(fixture, reference) }
      let theirs = await transferError { try await fixture.file("config.json", token: "of-request") }
      for error in [ours, theirs] {
        let message = error?.message ?? ""
        #expect(message.contains("no good: 'Bearer [token]', 'Bearer [token]'"), "\(message)")
        #expect(error?.message.contains("of-") == false)
      }
    }
    // The hub told its store.
    fixture.hub.script { $0.isStore ? .status(404, ["X-Error-Message": "of-operator is unknown"]) : nil }
    let remote = try await fixture.file("model.bin")
    let stored = await transferError { try await fixture.download(remote) }
    #expect(stored?.message.hasSuffix(": [token] is unknown") == true, "\(stored?.message ?? "")")
  }

  @Test("A refusal says whose token does not open a repository")
  func owners() async throws {
    let fixture = try HubFixture(["config.json": .small("{}")], token: "of-operator")
    let reference = try HubReference(repository: "owner/none")
    let ours = await transferError { try await listing(fixture, reference) }
    #expect(ours?.message.contains("the token of --hub-token-file or HF_TOKEN does not open it") == true)
    let theirs = await transferError { try await listing(fixture, reference, token: "of-request") }
    #expect(theirs?.message.contains("the token that was given does not open it") == true)
  }

  @Test("The token goes to the hub, and no further")
  func token() async throws {
    let weights = someBytes(3000)
    let fixture = try HubFixture(["model.safetensors": .large(weights)], token: "server-token")
    fixture.hub.change(HubFixture.repository) { $0.access = .tokenNeeded("server-token") }
    let remote = try await fixture.file("model.safetensors")
    #expect(try await fixture.download(remote) == weights)
    let (hub, store) = (fixture.hub.requests.filter { !$0.isStore }, fixture.hub.requests.filter(\.isStore))
    #expect(!hub.isEmpty && hub.allSatisfy { $0.authorization == "Bearer server-token" })
    #expect(!store.isEmpty && store.allSatisfy { $0.authorization == nil })
  }

  @Test("A token is printed by nobody")
  func secrecy() throws {
    let token = try #require(HubToken("hf_secret"))
    let request = TransferRequest(.get, try SourceURL("https://h/"), token: token)
    var dumped = ""
    dump(request, to: &dumped)
    for text in ["\(token)", String(reflecting: token), "\(request)", dumped] { #expect(!text.contains("secret")) }
    for wrong in ["", "a b", "a\nb", "ü", String(repeating: "x", count: 2000)] { #expect(HubToken(wrong) == nil) }
  }
}

extension Data {
  fileprivate func contains(_ other: Data) -> Bool { range(of: other) != nil }
}
