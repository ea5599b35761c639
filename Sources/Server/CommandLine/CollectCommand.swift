import ArgumentParser
import Foundation
import Logging
import SystemPackage

/// `zooport gc`: one round of the janitor, now.
struct CollectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc",
    abstract: "Remove jobs and uploads whose time is over.",
    discussion: """
      A running service does the same every ten minutes; this may be called beside it. What a queued or running job uses \
      and pinned jobs stay. The ids of what went, or would go, are printed one a line.
      """)

  @Option(help: ServeCommand.help("config")) var config: String?
  @Option(help: ServeCommand.help("data-dir")) var dataDir: String?
  @Option(help: ServeCommand.help("keep-inputs")) var keepInputs: String?
  @Option(help: ServeCommand.help("keep-partial")) var keepPartial: String?
  @Option(help: ServeCommand.help("keep-outputs")) var keepOutputs: String?
  @Flag(help: "Print what would go, and remove nothing.") var dryRun = false

  func run() throws {
    let flags = [
      "config": config, "data-dir": dataDir, "keep-inputs": keepInputs, "keep-partial": keepPartial,
      "keep-outputs": keepOutputs,
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
    let database = try Database(path: path, migrates: false)
    let round = try Janitor(
      jobs: SQLiteJobStore(database: database), uploads: SQLiteUploadStore(database: database),
      partials: SQLitePartialUploadStore(database: database), data: data,
      retention: settings.retention, logger: Logger(label: "zooport") { _ in SwiftLogNoOpLogHandler() },
      audit: { Audit.ofCommand($0, $1) }
    ).collect(at: .now, isDryRun: dryRun)
    for id in round.jobs { print("job \(id)") }
    for id in round.uploads { print("upload \(id)") }
    for id in round.partials { print("unfinished upload \(id)") }
  }
}
