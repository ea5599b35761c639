import APIClient
import ArgumentParser
import Core
import Foundation
import Inputs

/// Where the server is and who asks. Shared by all client commands.
struct ClientOptions: ParsableArguments {
  @Option(help: "The address of the server (default: ZOOPORT_URL, or http://127.0.0.1:8080).")
  var url: String?

  @Option(
    help: ArgumentHelp(
      "A file that holds the access token (default: the variable ZOOPORT_TOKEN). There is no option for the token itself: "
        + "other users see the arguments of a process."))
  var tokenFile: String?

  @Option(
    help: ArgumentHelp(
      "A PEM file with the certificates of the authorities that vouch for the server, instead of the system's "
        + "(default: the variable ZOOPORT_CA_FILE)."))
  var caFile: String?

  @Option(help: "Seconds to keep trying when the server cannot be reached.")
  var patience = 300

  /// Variables that these options read; `serve` has no warning for them.
  static let variables: Set = ["ZOOPORT_URL", "ZOOPORT_TOKEN", "ZOOPORT_CA_FILE"]

  func validate() throws {
    guard patience >= 0 else { throw ValidationError("--patience takes a number of seconds.") }
  }

  /// The client. Throws `ClientFailure` when the token or the certificates cannot be read or cannot be any.
  func client() throws -> ServiceClient {
    let environment = ProcessInfo.processInfo.environment
    var base = url ?? environment["ZOOPORT_URL"].flatMap { $0.isEmpty ? nil : $0 } ?? "http://127.0.0.1:8080"
    while base.hasSuffix("/") { base.removeLast() }
    return ServiceClient(
      base: base, token: try token(environment), authorities: try authorities(environment),
      patience: .seconds(patience),
      notice: { text in
        StandardError.clearLine()
        StandardError.write("WARNING: \(text)\n")
      })
  }

  private func authorities(_ environment: [String: String]) throws -> String? {
    guard let path = caFile ?? environment["ZOOPORT_CA_FILE"], !path.isEmpty else { return nil }
    let text = try? String(contentsOfFile: path, encoding: .utf8)
    guard text?.contains("-----BEGIN CERTIFICATE-----") == true else {
      throw ClientFailure("\(path) is no readable file of certificates in PEM", exitStatus: 2)
    }
    return path
  }

  private func token(_ environment: [String: String]) throws -> String? {
    let text: String
    if let tokenFile {
      do {
        text = try String(contentsOfFile: tokenFile, encoding: .utf8)
      } catch {
        throw ClientFailure("the token file \(tokenFile) cannot be read", exitStatus: 2)
      }
    } else {
      text = environment["ZOOPORT_TOKEN"] ?? ""
    }
    let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw ClientFailure("the access token has characters that no token has", exitStatus: 2)
    }
    return token.isEmpty ? nil : token
  }
}

/// What the client commands have in common.
protocol ClientCommand: ParsableCommand {
  var server: ClientOptions { get }

  /// Does the work. Throws `ClientFailure`.
  func run(_ client: ServiceClient) throws
}

extension ClientCommand {
  func run() throws {
    // A server that goes away while it is being written to must not end the process.
    signal(SIGPIPE, SIG_IGN)
    do {
      try run(try server.client())
    } catch let failure as ClientFailure {
      StandardError.write("ERROR: \(failure.message)\n")
      for line in failure.details { StandardError.write("  \(line)\n") }
      throw ExitCode(failure.exitStatus)
    } catch let failure as TransferFailure {
      StandardError.write("ERROR: \(failure.error.message)\n")
      throw ExitCode(1)
    }
  }
}
