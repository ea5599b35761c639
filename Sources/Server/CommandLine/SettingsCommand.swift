import ArgumentParser

/// `zooport settings`: every setting, as the page docs/settings.md.
struct SettingsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "settings", abstract: "Describe every setting of the service, with its variable and default.")

  func run() { print(SettingsPage.markdown, terminator: "") }
}
