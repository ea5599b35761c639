import ArgumentParser
import Core
import Foundation

/// The command `zooport`.
@main
struct Zooport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "zooport",
    abstract: "Convert checkpoints and configs between Hugging Face and Cerebras Model Zoo layouts.",
    version: Core.Zooport.version,
    subcommands: [
      ListCommand.self, ConvertCommand.self, ConvertConfigCommand.self, PlanCommand.self, InspectCommand.self,
      DiffCommand.self,
      SubmitCommand.self, StatusCommand.self, WatchCommand.self, DownloadCommand.self, CancelCommand.self,
      RetryCommand.self,
      ServeCommand.self, CollectCommand.self, TokenCommand.self,
      SettingsCommand.self, OpenAPICommand.self,
    ])

  /// Runs a subcommand. The exit status of a usage error is 2, as users of the Model Zoo tool expect, not EX_USAGE.
  static func main() async {
    // A limit on the size of files is an error of a write, which says so and cleans up; the signal would end the process.
    signal(SIGXFSZ, SIG_IGN)
    var command: any ParsableCommand = Zooport()
    do {
      command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      let status = exitCode(for: error)
      guard status == .validationFailure else { exit(withError: error) }
      // The parser does not know which command refused something after it was parsed.
      let text =
        (error as? ValidationError).map { "Error: \($0.message)\nUsage: \(usageString(for: type(of: command)))" }
        ?? fullMessage(for: error)
      FileHandle.standardError.write(Data((text + "\n").utf8))
      Foundation.exit(2)
    }
  }
}
