import API
import ArgumentParser
import Foundation
import Inputs
import Jobs
import Logging
import SQLiteStore
import SystemPackage

/// `zooport gc`: one round of the janitor, now.
struct CollectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc",
    abstract: "Remove jobs, uploads and downloads whose time is over, and downloads beyond the limit of the cache.",
    discussion: """
      A running service does the same every ten minutes; this may be called beside it. What a queued or running job uses \
      and pinned jobs stay. The ids of what went, or would go, are printed one a line, and then the bytes of disk of each \
      kind and of all.
      """)

  @Option(help: ServeCommand.help("config")) var config: String?
  @Option(help: ServeCommand.help("data-dir")) var dataDir: String?
  @Option(help: ServeCommand.help("keep-inputs")) var keepInputs: String?
  @Option(help: ServeCommand.help("keep-partial")) var keepPartial: String?
  @Option(help: ServeCommand.help("keep-outputs")) var keepOutputs: String?
  @Option(help: ServeCommand.help("cache-limit")) var cacheLimit: String?
  @Flag(help: "Print what would go, and remove nothing.") var dryRun = false

  func run() throws {
    let flags = [
      "config": config, "data-dir": dataDir, "keep-inputs": keepInputs, "keep-partial": keepPartial,
      "keep-outputs": keepOutputs, "cache-limit": cacheLimit,
    ].compactMapValues { $0 }
    let settings: Settings
    do {
      settings = try Settings(flags: flags, environment: ProcessInfo.processInfo.environment)
    } catch {
      throw ValidationError(error.description)
    }
    let path = settings.dataFolder.appending("zooport.sqlite").string
    guard access(path, R_OK | W_OK) == 0 else {
      throw ValidationError("there is no data of a service in \(settings.dataFolder); name its folder with --data-dir")
    }
    let data = try DataFolder(root: settings.dataFolder)
    let stores = try data.openDatabase(migrates: false).stores
    let round = try Janitor(
      jobs: stores.jobs, uploads: stores.uploads, partials: stores.partials, data: data,
      cache: try DownloadCache(root: data.cache, limit: settings.cacheLimit),
      retention: settings.retention, logger: Logger(label: "zooport") { _ in SwiftLogNoOpLogHandler() },
      audit: { Audit.ofCommand($0, $1) }
    ).collect(at: .now, isDryRun: dryRun)
    for id in round.jobs { print("job \(id)") }
    for id in round.uploads { print("upload \(id)") }
    for id in round.partials { print("unfinished upload \(id)") }
    for file in round.downloads { print(file.isPartial ? "unfinished download \(file.key)" : "download \(file.key)") }
    let downloads = round.downloads.filter { !$0.isPartial }.reduce(0) { $0 + $1.bytes }
    let unfinished = round.downloads.filter(\.isPartial).reduce(0) { $0 + $1.bytes }
    let kinds = [
      ("jobs", round.bytes.jobs), ("uploads", round.bytes.uploads), ("unfinished uploads", round.bytes.partials),
      ("downloads", downloads), ("unfinished downloads", unfinished),
    ]
    for (kind, bytes) in kinds + [("all", kinds.reduce(0) { $0 + $1.1 })] {
      print("\(bytes) bytes \(dryRun ? "would be" : "were") freed: \(kind)")
    }
  }
}
