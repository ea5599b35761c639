import ArgumentParser
import Foundation
import Logging
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Settings")
struct SettingsTests {
  @Test("The flag wins over the variable, the variable over the default; an empty flag or variable is absent")
  func precedence() throws {
    let settings = try Settings(
      flags: ["port": "1", "max-upload": "2MiB"],
      environment: ["ZOOPORT_PORT": "2", "ZOOPORT_HOST": "::1", "ZOOPORT_WORKERS": "", "PATH": "/bin"])
    #expect(settings.port == 1)
    #expect(settings.host == "::1")
    #expect(settings.maximumUpload == 2 << 20)
    #expect(settings.workers == ProcessInfo.processInfo.activeProcessorCount)
    #expect(settings.dataFolder == "zooport-data")
    #expect(try Settings(flags: ["workers": ""], environment: ["ZOOPORT_WORKERS": "3"]).workers == 3)
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

  @Test("A size has 1024TiB at most, so that it can be multiplied")
  func sizes() throws {
    #expect(try Settings(flags: ["memory-budget": "1024TiB"], environment: [:]).memoryBudget == 1 << 50)
    let error = try #require(throws: Settings.Invalid.self) {
      _ = try Settings(flags: ["memory-budget": "500000TiB"], environment: [:])
    }
    #expect(
      error.problems == [
        "--memory-budget is 500000TiB, but must be a size such as 512MiB, from 1048576 bytes to 1024TiB"
      ])
  }

  @Test(
    "The address of a hub that cannot be used is not shown, and its place is",
    arguments: ["HF_ENDPOINT", "flag", "ZOOPORT_HUB_ENDPOINT"])
  func endpoints(_ source: String) throws {
    for text in ["https://user:secret@hub.example", "hub.example?secret", "secret"] {
      let invalid = #expect(throws: Settings.Invalid.self) {
        try Settings(
          flags: source == "flag" ? ["hub-endpoint": text] : [:], environment: source == "flag" ? [:] : [source: text])
      }
      let place = source == "flag" ? "--hub-endpoint" : source
      #expect(invalid?.problems.first?.hasPrefix("\(place) must be a URL") == true)
      #expect(invalid?.description.contains("secret") == false)
    }
  }

  @Test("White space around the token of a hub is none of it")
  func hubToken() throws {
    #expect(try Settings(flags: [:], environment: ["HF_TOKEN": " hf_x\n"]).hubToken?.secret == "hf_x")
    #expect(try Settings(flags: [:], environment: ["HF_TOKEN": " \n"]).hubToken == nil)
    #expect(throws: Settings.Invalid.self) { try Settings(flags: [:], environment: ["HF_TOKEN": "a b"]) }
  }

  @Test("A file counts after flags and variables; comments, blank lines and empty values are nothing")
  func file() throws {
    let file = SettingsFile(
      text: "# comment\r\nport = 3\n\n  host=::1 \nworkers = 7\nlog-level =\nvisibility = team\n", path: "f.conf")
    let settings = try Settings(flags: ["port": "1"], environment: ["ZOOPORT_WORKERS": "2"], file: file)
    #expect(settings.port == 1)
    #expect(settings.workers == 2)
    #expect(settings.host == "::1")
    #expect(settings.logLevel == .info)
    #expect(settings.visibility == .team)
  }

  @Test("The file is found by flag or variable; what is wrong in it is reported with all the rest, by line")
  func fileFaults() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("zooport.conf").string
    try "port = x\nprot = 80\nlog-level\nhost = a\nhost = b\nconfig = other\n".write(
      toFile: path, atomically: true, encoding: .utf8)
    for (flags, environment) in [
      (["config": path, "workers": "0"], [:]), (["workers": "0"], ["ZOOPORT_CONFIG": path]),
    ] as [([String: String], [String: String])] {
      do {
        _ = try Settings(flags: flags, environment: environment)
        Issue.record("accepted")
      } catch {
        #expect(
          error.problems == [
            "\(path):2: there is no setting prot for a file",
            "\(path):3: log-level is no line of the form name = value",
            "\(path):5: host is set already, in line 4", "\(path):6: there is no setting config for a file",
            "\(path):1: port is x, but must be a number from 0 to 65535",
            "--workers is 0, but must be a number from 1 to 256",
          ])
      }
    }
    do {
      _ = try Settings(flags: ["config": path + "x"], environment: [:])
      Issue.record("accepted")
    } catch {
      #expect(error.problems == ["\(path)x cannot be read"])
    }
    let folderPath = folder.path.string
    let error = try #require(throws: Settings.Invalid.self) {
      _ = try Settings(flags: ["config": folderPath], environment: [:])
    }
    #expect(error.problems == ["\(folderPath) cannot be read"])
    try "".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try Settings(flags: ["config": path], environment: [:]).port == 8080)
    try String(repeating: "#\n", count: SettingsFile.limit).write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: Settings.Invalid.self) { _ = try Settings(flags: ["config": path], environment: [:]) }
  }

  @Test("docs/settings.md is what `zooport settings` prints")
  func page() throws {
    let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    let text = try String(contentsOfFile: root.appending("docs/settings.md").string, encoding: .utf8)
    #expect(text == SettingsPage.markdown, "write it again: zooport settings > docs/settings.md")
  }

  @Test("A file of authorities has to be there and hold certificates")
  func authorities() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("ca.pem").string
    for text in [nil, "", "-----BEGIN PRIVATE KEY-----\n"] {
      try text?.write(toFile: path, atomically: true, encoding: .utf8)
      do {
        _ = try Settings(flags: ["fetch-ca-file": path], environment: [:])
        Issue.record("accepted")
      } catch {
        #expect(
          error.problems == ["--fetch-ca-file is \(path), but must be a readable file of certificates in PEM"])
      }
    }
    try "-----BEGIN CERTIFICATE-----\n".write(toFile: path, atomically: true, encoding: .utf8)
    let settings = try Settings(flags: ["fetch-ca-file": path, "allow-private-fetch": "10.0.0.1"], environment: [:])
    #expect(settings.egress.authorities == path)
    // The hub is trusted as everything else is.
    #expect(settings.egress.allowing(host: "hub").authorities == path)
    #expect(try Settings(flags: [:], environment: [:]).egress.authorities == nil)
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
    #expect(given.fetchLimits.totalSeconds == implied.fetchLimits.totalSeconds)
    #expect(given.fetchLimits.connections == implied.fetchLimits.connections)
    #expect(given.cacheLimit == implied.cacheLimit)
    #expect(given.hubEndpoint.origin == implied.hubEndpoint.origin)
    #expect(given.maximumAttempts == implied.maximumAttempts)
    #expect(given.retention.inputs == implied.retention.inputs)
    #expect(given.retention.partials == implied.retention.partials)
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
    #expect(given.requiresTokens ?? false == implied.requiresTokens ?? false)
    #expect(given.allowsAnonymous == implied.allowsAnonymous)
    #expect(given.visibility == implied.visibility)
    #expect(given.logLevel == implied.logLevel)
  }
}
