import Foundation
import Testing

/// Tokens with the real binary: one process serves, others make and revoke tokens beside it.
@Suite("Access tokens, end to end", .enabled(if: ServiceProcess.binary != nil), .serialized)
struct TokenCommandTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "zooport-e2e-\(UUID().uuidString)")

  /// Runs a command on the data folder.
  private func run(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
    try run(arguments)
  }

  private func run(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
    process.arguments = arguments + ["--data-dir", folder.path]
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    let complaints = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text, complaints)
  }

  @Test("Made and revoked beside a running service, shown once, kept nowhere")
  func life() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try ServiceProcess(folder: folder)
    #expect(try await service.send("GET", "/v1/jobs").status == 200)
    let made = try run("token", "create", "ann", "--scope", "submit,read", "--team", "red", "--expires", "1h")
    #expect(made.status == 0)
    let token = made.output.trimmingCharacters(in: .newlines)
    #expect(token.hasPrefix("zpt_"))
    #expect(!made.errors.contains(token))
    let line = try #require(try JSONSerialization.jsonObject(with: Data(made.errors.utf8)) as? [String: Any])
    #expect(line["audit"] as? Bool == true)
    #expect(line["action"] as? String == "token.create")

    #expect(try await service.send("GET", "/v1/jobs").status == 401)
    let headers = ["Authorization": "Bearer \(token)"]
    #expect(try await service.send("GET", "/v1/jobs", headers: headers).status == 200)
    #expect(try await service.send("GET", "/metrics", headers: headers).status == 403)
    let list = try run("token", "list")
    #expect(list.output.contains("ann"))
    #expect(list.output.contains("read,submit"))
    #expect(list.output.contains("valid"))
    #expect(!list.output.contains(token))

    #expect(try run("token", "create", "ann").status == 2)
    #expect(try run("token", "revoke", "ann").status == 0)
    #expect(try await service.send("GET", "/v1/jobs", headers: headers).status == 401)
    #expect(try run("token", "revoke", "ann").status == 2)
    #expect(try run("token", "list").output.contains("revoked"))
    #expect(service.end(SIGTERM) == 0)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      let content = (try? Data(contentsOf: folder.appending(path: name))) ?? Data()
      #expect(content.range(of: Data(token.utf8)) == nil, "\(name) has the secret")
    }
  }

  @Test("Wrong arguments are usage errors; a public address needs a token, which may be made before the first start")
  func refusals() async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try run("token", "list").status == 2)
    for arguments in [
      ["a b"], ["ann", "--scope", "read,write"], ["ann", "--expires", "soon"], ["ann", "--team", "re d"],
    ] {
      #expect(try run(["token", "create"] + arguments).status == 2, "\(arguments)")
    }
    let refused = try run("serve", "--port", "0", "--host", "0.0.0.0")
    #expect(refused.status == 1)
    #expect(refused.errors.contains("there is no access token"))
    #expect(try run("token", "create", "ann").status == 0)
    let service = try ServiceProcess(folder: folder, arguments: ["--host", "0.0.0.0"])
    #expect(service.end(SIGTERM) == 0)
  }
}
