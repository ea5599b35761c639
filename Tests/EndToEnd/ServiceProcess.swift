import Foundation
import FoundationNetworking
import Testing

/// The real binary, serving on a free port with a data folder of its own.
final class ServiceProcess {
  /// Path of the binary under test.
  static let binary = ProcessInfo.processInfo.environment["ZOOPORT_BINARY"]

  let folder: URL
  private let process = Process()
  private(set) var base = URL(filePath: "/")

  /// Starts a server, on a free port unless one is named, and waits until it listens.
  init(folder: URL, port: Int = 0, arguments: [String] = [], environment: [String: String] = [:]) throws {
    self.folder = folder
    process.executableURL = URL(filePath: try #require(Self.binary))
    process.arguments = ["serve", "--port", String(port), "--data-dir", folder.path] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var line = ""
    while !line.hasSuffix("\n") {
      guard let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty else { break }
      line += String(decoding: byte, as: UTF8.self)
    }
    let address = try #require(line.split(separator: " ").last?.trimmingCharacters(in: .newlines))
    base = try #require(URL(string: address))
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  /// Sends a signal, waits for the end and answers the exit status.
  func end(_ signal: Int32) -> Int32 {
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// One request.
  func send(
    _ method: String, _ path: String, body: Data? = nil, headers: [String: String] = [:]
  ) async throws -> (status: Int, body: Data, headers: [AnyHashable: Any]) {
    var request = URLRequest(url: try #require(URL(string: path, relativeTo: base)))
    request.httpMethod = method
    request.httpBody = body
    for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
    let (data, response) = try await URLSession.shared.data(for: request)
    let answer = try #require(response as? HTTPURLResponse)
    return (answer.statusCode, data, answer.allHeaderFields)
  }

  /// One request whose answer is a JSON object.
  func json(_ method: String, _ path: String, _ object: [String: Any]? = nil) async throws -> [String: Any] {
    let body = try object.map { try JSONSerialization.data(withJSONObject: $0) }
    let answer = try await send(method, path, body: body, headers: ["Content-Type": "application/json"])
    return try #require(try JSONSerialization.jsonObject(with: answer.body) as? [String: Any])
  }

  /// Uploads a file and answers its id.
  func upload(_ name: String, _ content: Data) async throws -> String {
    let answer = try await send("PUT", "/v1/uploads/\(name)", body: content)
    #expect(answer.status == 201)
    let object = try JSONSerialization.jsonObject(with: answer.body) as? [String: Any]
    return try #require(object?["id"] as? String)
  }

  /// Polls until a job has a status and answers the job.
  func wait(_ url: String, for status: String, seconds: Double = 30) async throws -> [String: Any] {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
      let job = try await json("GET", url)
      if job["status"] as? String == status { return job }
      guard ContinuousClock.now < deadline else {
        Issue.record("\(url) is \(job["status"] ?? "?"), not \(status): \(job["error"] ?? "")")
        return job
      }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// The outputs of a job by name.
  func outputs(of job: [String: Any]) async throws -> [String: Data] {
    var files: [String: Data] = [:]
    for output in try #require(job["outputs"] as? [[String: Any]]) {
      let answer = try await send("GET", try #require(output["url"] as? String))
      #expect(answer.status == 200)
      #expect(answer.body.count == output["size"] as? Int)
      files[try #require(output["name"] as? String)] = answer.body
    }
    return files
  }
}
