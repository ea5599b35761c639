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

@Suite("Staging of inputs")
struct InputStagingTests {
  private let gibibyte = 1 << 30

  /// Stages a repository with a checkpoint of 4 GiB that nobody could download here, on a disk with so much left.
  private func stage(left: Int, streams: Bool = false) async throws -> (isStreamed: Bool, sent: Int) {
    let fixture = try HubFixture([
      "config.json": .small("{}"), "model.safetensors": TestHub.File(beginning: Data(), size: 4 * gibibyte),
    ])
    let available = try FreeSpace(path: fixture.folder.path, floor: 0).available()
    let space = FreeSpace(path: fixture.folder.path, floor: available - left)
    let staging = InputStaging(resolver: fixture.resolver(), reservation: DiskReservation(space), progress: { _, _ in })
    let root = fixture.folder.path
    let places = InputStaging.Places(
      config: root.appending("config"), checkpoint: root.appending("checkpoint"), carried: root.appending("carried"),
      outputs: root.appending("outputs/not/there/yet"), upload: { _, name in FilePath(name.description) })
    for place in [places.config, places.checkpoint] {
      try FileManager.default.createDirectory(atPath: place.string, withIntermediateDirectories: true)
    }
    let input = JobInput.hub(HubInput(reference: try fixture.reference), try #require(FileName("model")))
    let path = try await onThread {
      let resolved = try staging.resolver.resolve(config: input, checkpoint: [input])
      let staged = try staging.stage(resolved, at: places, streams: streams)
      return staged.files.holds(staged.checkpoint[0])
    }.result.get()
    return (path, fixture.hub.bytesSent("model.safetensors"))
  }

  @Test("A checkpoint stays where it is when the disk would hold the outputs alone, or when it is asked for")
  func streams() async throws {
    let tight = try await stage(left: 6 * gibibyte)
    #expect(tight.isStreamed && tight.sent == 0)
    let asked = try await stage(left: 100 * gibibyte, streams: true)
    #expect(asked.isStreamed && asked.sent == 0)
  }

  @Test("What the cache keeps for nobody counts as free, and goes")
  func makesRoom() async throws {
    let fixture = try HubFixture(["config.json": .small("{}"), "model.safetensors": .large(someBytes(40_000))])
    let cache = fixture.fetching.cache
    for key in ["a", "b"] {
      _ = try cache.file(key, isCancelled: { false }) { (path) throws(TransferFailure) in
        _ = FileManager.default.createFile(atPath: path.string, contents: Data(count: 1 << 20))
      }
    }
    let available = try FreeSpace(path: fixture.folder.path, floor: 0).available()
    // Others use the disk, too, so what is asked for is not known to the byte.
    let asked = Mutex<[Int]>([])
    let space = FreeSpace(path: fixture.folder.path, floor: available / 2) { bytes, keys in
      asked.withLock { $0.append(bytes) }
      cache.makeRoom(1 << 20, keeping: keys)
    }
    #expect(try space.room(for: 1000) > 1000)
    #expect(asked.withLock { $0.isEmpty })
    #expect(try space.room(for: .max, keeping: ["a"]) < .max)
    #expect(asked.withLock { $0.count == 1 && $0[0] > 1 << 40 })
    #expect(cache.holds("a") && !cache.holds("b"))
  }

  @Test("What a conversion spools counts before its first byte is written")
  func spools() throws {
    let folder = try TemporaryFolder()
    let floor = try FreeSpace(path: folder.path, floor: 0).available() / 2
    let space = FreeSpace(path: folder.path, floor: floor)
    var costs = PreparedConversion.Costs()
    costs.bytesWritten = 1000
    let fits = DiskReservation(space)
    try fits.reserve(costs)
    costs.scratchBytes = .max
    let full = DiskReservation(space)
    let error = #expect(throws: ConversionError.self) { try full.reserve(costs) }
    #expect(error?.kind == .diskFull)
    #expect(error?.message.contains("the outputs and what is spooled take \(Int.max) bytes") == true)
    costs.bytesWritten = .max
    costs.scratchBytes = 0
    let large = #expect(throws: ConversionError.self) { try full.reserve(costs) }
    #expect(large?.message.contains("the outputs take \(Int.max) bytes") == true)
    // The command line asks before there is a folder for the outputs.
    let missing = DiskReservation(FreeSpace(path: folder.path.appending("not/yet"), floor: floor))
    #expect(throws: ConversionError.self) { try missing.reserve(costs) }
    // A config alone needs no room.
    try full.reserve(PreparedConversion.Costs())
  }

  @Test("A reservation shrinks as tensors are written, and only then")
  func reservationShrinks() throws {
    let folder = try TemporaryFolder()
    let available = try FreeSpace(path: folder.path, floor: 0).available()
    let space = FreeSpace(path: folder.path, floor: 0)
    var costs = PreparedConversion.Costs()
    costs.bytesWritten = available / 5 * 3
    let first = DiskReservation(space)
    try first.reserve(costs)
    let second = DiskReservation(space)
    #expect(throws: ConversionError.self) { try second.reserve(costs) }
    #expect(second.isHeldByOthers)
    let monitor = WritingMonitor(base: UnattendedMonitor(), reservation: first)
    for phase in [ConversionProgress.Phase.verifying, .digesting, .publishing] {
      var progress = ConversionProgress(phase: phase)
      progress.bytesDone = costs.bytesWritten
      monitor.report(progress)
    }
    #expect(throws: ConversionError.self) { try second.reserve(costs) }
    var written = ConversionProgress(phase: .converting)
    written.bytesDone = costs.bytesWritten
    monitor.report(written)
    try second.reserve(costs)
  }

  @Test("Streaming is refused in a sentence when ranges are not served")
  func noRanges() async throws {
    let answer = FileAnswer(bytes: someBytes(1000), headers: ["Accept-Ranges: none"], servesRanges: false)
    let server = try LoopbackServer.answering { answer.send(to: $0, $1) }
    defer { server.stop() }
    let fixture = try HubFixture(["config.json": .small("{}")])
    let fetcher = try Fetcher.local()
    let remote = try await fetcher.describe(server)
    let config = try #require(FileName("config.json"))
    let reservation = DiskReservation(FreeSpace(path: fixture.folder.path, floor: 0))
    let staging = InputStaging(resolver: fixture.resolver(), reservation: reservation, progress: { _, _ in })
    let inputs = ResolvedInputs(
      configs: [.inline("{}", config)], checkpoint: [.remote(remote)], pinned: (.inline("{}", config), []))
    let root = fixture.folder.path
    let places = InputStaging.Places(
      config: root.appending("config"), checkpoint: root.appending("checkpoint"), carried: root.appending("carried"),
      outputs: root.appending("outputs"), upload: { _, name in FilePath(name.description) })
    let error = await transferError {
      try await onThread { try staging.stage(inputs, at: places, streams: true).fetched }.result.get()
    }
    #expect(error?.message.contains("does not serve ranges of x.bin, which streaming needs") == true)
  }

  @Test("When not even the outputs fit, nothing is begun")
  func full() async throws {
    let error = await transferError { try await stage(left: 3 * gibibyte).sent }
    #expect(error?.kind == .diskFull)
    #expect(error?.message.contains("bytes of disk") == true)
  }

  @Test("All shards of an index come, of a variant too, under names that belong together")
  func shards() async throws {
    let index =
      #"{"weight_map": {"a": "model.fp16-00001-of-00002.safetensors", "b": "model.fp16-00002-of-00002.safetensors"}}"#
    let fixture = try HubFixture([
      "sub/config.json": .small("{}"), "sub/model.safetensors.index.fp16.json": .small(index),
      "sub/model.fp16-00001-of-00002.safetensors": .large(someBytes(10)),
      "sub/model.fp16-00002-of-00002.safetensors": .large(someBytes(20)),
    ])
    let reference = try HubReference(
      repository: HubFixture.repository, revision: "main", subfolder: "sub", variant: "fp16", files: nil)
    let (resolver, name) = (fixture.resolver(), try #require(FileName("model")))
    let resolved = try await onThread {
      let input = JobInput.hub(HubInput(reference: reference), name)
      return try resolver.resolve(config: input, checkpoint: [input])
    }.result.get()
    #expect(
      resolved.checkpoint.map(\.name.description) == [
        "model.fp16.safetensors.index.json", "model.fp16-00001-of-00002.safetensors",
        "model.fp16-00002-of-00002.safetensors",
      ])
    // One listing for config and checkpoint.
    #expect(fixture.hub.requests.count { $0.path.isEmpty } == 1)
    guard case .hub(let pinned, _) = resolved.pinned.config else {
      Issue.record("the config is no longer a reference")
      return
    }
    #expect(pinned.commit == String(repeating: "c0ffee00", count: 5))
  }

  @Test("Files of one name cannot be one checkpoint")
  func duplicates() async throws {
    let fixture = try HubFixture(["config.json": .small("{}"), "a/x.bin": .large(Data()), "b/x.bin": .large(Data())])
    let reference = try HubReference(
      repository: HubFixture.repository, revision: "main", subfolder: nil, variant: nil, files: ["a/x.bin", "b/x.bin"])
    let (resolver, name) = (fixture.resolver(), try #require(FileName("model")))
    let error = await transferError {
      try await onThread {
        let input = JobInput.hub(HubInput(reference: reference), name)
        return try resolver.resolve(config: input, checkpoint: [input]).checkpoint.count
      }.result.get()
    }
    #expect(error?.kind == .usage)
  }

  /// The names of carried files, for a config and checkpoints that all carry.
  private func carried(
    _ fixture: HubFixture, config: JobInput?, _ folders: String...
  ) async throws -> [String] {
    let name = try #require(FileName("model"))
    let reference = try fixture.reference
    let checkpoint = folders.map { folder in
      var hub = HubInput(reference: reference, carry: true)
      hub.reference.subfolder = folder
      return JobInput.hub(hub, name)
    }
    let resolver = fixture.resolver()
    return try await onThread {
      try resolver.resolve(config: config ?? checkpoint[0], checkpoint: checkpoint).carried.map(\.name.description)
    }.result.get()
  }

  @Test("Carried files come from the config as well, once each; other content under the same name is refused")
  func carriedFiles() async throws {
    var files: [String: TestHub.File] = [:]
    for (folder, tokenizer) in [("a", "1"), ("b", "1"), ("c", "2"), ("config", "1")] {
      files["\(folder)/config.json"] = .small("{}")
      files["\(folder)/\(folder).bin"] = .large(Data(folder.utf8))
      files["\(folder)/tokenizer.json"] = .small(tokenizer)
    }
    files["config/merges.txt"] = .small("x")
    let fixture = try HubFixture(files)
    #expect(try await carried(fixture, config: nil, "a") == ["tokenizer.json"])
    #expect(try await carried(fixture, config: nil, "a", "b") == ["tokenizer.json"])
    let error = await transferError { try await carried(fixture, config: nil, "a", "c") }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("tokenizer.json") == true)
    var reference = HubInput(reference: try fixture.reference, carry: true)
    reference.reference.subfolder = "config"
    let config = JobInput.hub(reference, try #require(FileName("model")))
    #expect(try await carried(fixture, config: config) == ["merges.txt", "tokenizer.json"])
    #expect(try await carried(fixture, config: config, "a") == ["tokenizer.json", "merges.txt"])
    let upload = JobInput.upload(.generate(), try #require(FileName("x.bin")))
    let resolver = fixture.resolver()
    let beside = await onThread { try resolver.resolve(config: config, checkpoint: [upload]).carried.count }
    #expect(try beside.result.get() == 2)
  }

  @Test("Nothing to carry is worth a warning, and nothing asked for is not")
  func nothingToCarry() async throws {
    let fixture = try HubFixture([
      "a/config.json": .small("{}"), "a/model.bin": .large(Data([1])), "tokenizer.json": .small("1"),
    ])
    let (resolver, name) = (fixture.resolver(), try #require(FileName("model")))
    var hub = HubInput(reference: try fixture.reference, carry: true)
    hub.reference.subfolder = "a"
    for (carries, warnings) in [
      (true, ["nothing to carry: hub://owner/model@main has no tokenizer or generation file in a"]), (false, []),
    ] {
      hub.carry = carries
      let input = JobInput.hub(hub, name)
      let found = await onThread { try resolver.resolve(config: input, checkpoint: [input]).warnings }
      #expect(try found.result.get() == warnings)
    }
  }

  @Test("Each file system is asked for what goes to it")
  func disks() throws {
    let folder = try TemporaryFolder()
    let memory = FilePath("/dev/shm")
    let (here, there) = (
      try FreeSpace(path: folder.path, floor: 0).available(), try FreeSpace(path: memory, floor: 0).available()
    )
    func shortage(_ needs: DiskNeeds, floor: Int = 0) throws -> DiskReservation.Shortage? {
      try needs.reserve(DiskReservation(FreeSpace(path: folder.path, floor: floor)))
    }
    var needs = DiskNeeds(floor: 0)
    #expect(try shortage(needs) == nil)
    // Two folders of one disk are added up, whether they exist or not.
    try needs.add(here / 2, at: folder.path)
    #expect(try shortage(needs) == nil)
    var one = needs
    try one.add(here, at: folder.path.appending("a/b/c"))
    let missed = try #require(try shortage(one))
    #expect(missed.wanted == here / 2 + here)
    #expect(missed.room <= here + (1 << 30))
    // What another disk takes is its own business.
    try needs.add(there / 2, at: memory.appending("none"))
    #expect(try shortage(needs) == nil)
    try needs.add(there, at: memory)
    #expect(try shortage(needs)?.wanted == there / 2 + there)
    try needs.add(.max, at: folder.path)
    try needs.add(.max, at: folder.path)
    #expect(try shortage(needs)?.wanted != nil)
    var nothing = DiskNeeds(floor: .max)
    try nothing.add(0, at: folder.path)
    #expect(try shortage(nothing, floor: .max) == nil)
    try nothing.add(1, at: "relative")
    #expect(try shortage(nothing, floor: .max)?.room == 0)
  }
}
