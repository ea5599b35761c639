import ArgumentParser
import Foundation
import SystemPackage
import Testing

@testable import Server

@Suite("Settings")
struct SettingsTests {
  @Test("The flag wins over the variable, the variable over the default; an empty variable is absent")
  func precedence() throws {
    let settings = try Settings(
      flags: ["port": "1", "max-upload": "2MiB"],
      environment: ["ZOOPORT_PORT": "2", "ZOOPORT_HOST": "::1", "ZOOPORT_WORKERS": "", "PATH": "/bin"])
    #expect(settings.port == 1)
    #expect(settings.host == "::1")
    #expect(settings.maximumUpload == 2 << 20)
    #expect(settings.workers == ProcessInfo.processInfo.activeProcessorCount)
    #expect(settings.dataFolder == "zooport-data")
  }

  @Test("All faults are reported together, under the name that was used")
  func faults() throws {
    do {
      _ = try Settings(
        flags: ["port": "70000", "max-upload": "much"],
        environment: [
          "ZOOPORT_WORKERS": "0", "ZOOPORT_ALLOW_PRIVATE_FETCH": "10.0.0.0/8, 1.2.3", "ZOOPORT_LOG_LEVEL": "loud",
        ])
      Issue.record("accepted")
    } catch {
      #expect(error.problems.count == 5)
      for part in [
        "--port is 70000", "--max-upload is much", "ZOOPORT_WORKERS is 0", "ZOOPORT_ALLOW_PRIVATE_FETCH is 1.2.3",
        "ZOOPORT_LOG_LEVEL is loud",
      ] {
        #expect(error.description.contains(part), "\(part)")
      }
    }
  }

  @Test("A variable that is no setting is told apart")
  func unknown() throws {
    let settings = try Settings(flags: [:], environment: ["ZOOPORT_PROT": "80", "ZOOPORT_PORT": "81", "PROT": "1"])
    #expect(settings.unknownVariables == ["ZOOPORT_PROT"])
  }

  @Test("Every setting is a flag of serve")
  func flags() throws {
    let arguments = Settings.table.flatMap { $0.isSwitch ? ["--\($0.name)"] : ["--\($0.name)", "x"] }
    let command = try ServeCommand.parse(arguments)
    #expect(Set(command.flags.keys) == Set(Settings.table.map(\.name)))
    #expect(try ServeCommand.parse([]).flags.isEmpty)
    #expect(try ServeCommand.parse(["--no-require-tokens"]).flags == ["require-tokens": "false"])
  }

  /// `deploy/env.example` lists every variable, commented out, with its default.
  @Test("The example environment is complete and true")
  func example() throws {
    let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    let text = try String(contentsOfFile: root.appending("deploy/env.example").string, encoding: .utf8)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("#ZOOPORT_") }
    let expected = Settings.table.map { definition in
      // What depends on the machine has no value to show.
      let value = definition.standard.contains(" ") ? "" : definition.standard
      return "#\(definition.variable)=\(value)"
    }
    #expect(lines.map(String.init) == expected)
    for definition in Settings.table { #expect(text.contains("# \(definition.help)"), "\(definition.name)") }
  }

  @Test("The defaults in the table are those in force")
  func defaults() throws {
    let flags = Dictionary(
      uniqueKeysWithValues: Settings.table.filter { !$0.standard.isEmpty && !$0.standard.contains(" ") }
        .map { ($0.name, $0.standard) })
    let (given, implied) = (try Settings(flags: flags, environment: [:]), try Settings(flags: [:], environment: [:]))
    #expect(given.host == implied.host)
    #expect(given.port == implied.port)
    #expect(given.dataFolder == implied.dataFolder)
    #expect(given.memoryBudget == implied.memoryBudget)
    #expect(given.maximumUpload == implied.maximumUpload)
    #expect(given.diskFloor == implied.diskFloor)
    #expect(given.fetchLimits.bytes == implied.fetchLimits.bytes)
    #expect(given.fetchLimits.stallSeconds == implied.fetchLimits.stallSeconds)
    #expect(given.fetchLimits.attempts == implied.fetchLimits.attempts)
    #expect(given.maximumAttempts == implied.maximumAttempts)
    #expect(given.retention.inputs == implied.retention.inputs)
    #expect(given.retention.outputs == implied.retention.outputs)
    #expect(given.retry.retries == implied.retry.retries)
    #expect(given.retry.delay == implied.retry.delay)
    #expect(given.lease == implied.lease)
    #expect(given.shutdown == implied.shutdown)
    #expect(given.smallJob == implied.smallJob)
    #expect(given.totalMemory == implied.totalMemory)
    #expect(given.limits.queue == implied.limits.queue)
    #expect(given.limits.queuePerToken == implied.limits.queuePerToken)
    #expect(given.limits.runningPerToken == implied.limits.runningPerToken)
    #expect(given.limits.storagePerToken == implied.limits.storagePerToken)
    #expect(given.requiresTokens == implied.requiresTokens)
    #expect(given.allowsAnonymous == implied.allowsAnonymous)
    #expect(given.visibility == implied.visibility)
    #expect(given.logLevel == implied.logLevel)
  }
}
