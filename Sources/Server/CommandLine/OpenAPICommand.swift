import ArgumentParser
import HTTPService

/// `zooport openapi`: the description of the API, as the service answers it under `/openapi.json`.
struct OpenAPICommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "openapi", abstract: "Describe the REST API as OpenAPI 3.1, or as a page.")

  @Flag(help: "Print the page docs/reference.md instead.") var markdown = false

  func run() {
    print(
      markdown ? ReferencePage.markdown : String(decoding: OpenAPIDocument.bytes, as: UTF8.self) + "\n", terminator: "")
  }
}
