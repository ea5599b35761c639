import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// A runner whose behaviour is the name of the model.
struct ScriptedRunner: ConversionRunner {
  func prepare(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ScriptedConversion {
    var costs = PreparedConversion.Costs()
    switch request.model {
    case "huge":
      // More than any disk takes.
      costs.bytesWritten = 1 << 60
    case "most":
      // Three fifths of the disk.
      let space = FreeSpace(path: FilePath(request.outputDirectory ?? ""), floor: 0)
      costs.bytesWritten = (try? space.available() / 5 * 3) ?? 0
    default: break
    }
    return ScriptedConversion(request: request, costs: costs)
  }
}

struct ScriptedConversion: RunnableConversion {
  let request: ConversionRequest
  let costs: PreparedConversion.Costs

  func execute(_ monitor: some ConversionMonitor) throws(ConversionError) -> ConversionResult {
    var progress = ConversionProgress(phase: .converting)
    progress.bytesDone = 10
    progress.bytesTotal = 20
    progress.tensorsDone = 1
    progress.tensorsTotal = 2
    monitor.report(progress)
    switch request.model {
    case "endless", "most":
      if request.model == "most" {
        // All is still to be written.
        (progress.bytesDone, progress.bytesTotal) = (0, costs.bytesWritten)
        monitor.report(progress)
      }
      while !monitor.isCancelled { Thread.sleep(forTimeInterval: 0.01) }
      throw ConversionError(.cancelled, "cancelled")
    case "broken":
      throw ConversionError(
        .configNotConvertible, "\(request.files.name(request.config)) has activation: gelu_new2",
        diagnostics: [
          Diagnostic(
            .error, .configNotConvertible, .config("activation"), "not supported", origin: Origin("Core/GPT2.swift", 7))
        ])
    case "full":
      throw ConversionError(.diskFull, "the disk is full")
    case "huge", "crash":
      throw ConversionError(.internal, "should not be seen")
    default:
      break
    }
    do {
      let directory = FilePath(request.outputDirectory ?? "")
      let config = directory.appending("config_to_cs-1.8.yaml").string
      try FileManager.default.copyItem(atPath: request.config, toPath: config)
      var checkpoint: String?
      if !request.checkpoint.isEmpty {
        var joined = Data()
        for path in request.checkpoint { joined += try Data(contentsOf: URL(filePath: path)) }
        checkpoint = directory.appending("pytorch_model_to_cs-1.8.mdl").string
        try joined.write(to: URL(filePath: checkpoint ?? ""))
      }
      let files = try [checkpoint, config].compactMap(\.self).map { path in
        let bytes = try Data(contentsOf: URL(filePath: path))
        return OutputFile(
          name: FilePath(path).lastComponent?.string ?? "", path: path, size: bytes.count,
          sha256: SHA256.hash(data: bytes).hexadecimal)
      }
      return ConversionResult(
        checkpoints: [checkpoint].compactMap { $0 }, configs: [config], files: files,
        warnings: [Diagnostic(.warning, .keysUnmatched, .tensor("x"), "Key not matched: x")])
    } catch {
      throw ConversionError(.outputFailed, "\(error)")
    }
  }
}

/// A service with a scripted runner and a folder of its own.
struct ServiceHarness {
  let folder: TemporaryFolder
  let app: App<ScriptedRunner>

  /// `log` takes the lines of the service; by default nobody does.
  /// `folder` is that of a service that has ended.
  init(
    log: (any LogHandler)? = nil, in folder: TemporaryFolder? = nil, _ change: (inout Settings) -> Void = { _ in }
  ) throws {
    let folder = try folder ?? TemporaryFolder()
    self.folder = folder
    var settings = try Settings(flags: ["data-dir": folder.path.string, "workers": "2", "port": "0"], environment: [:])
    change(&settings)
    let pairs = [
      ModelListing.Conversion(source: .hf, target: .cs(Release(1, 8)), note: "a note", composed: false)
    ]
    app = try App(
      settings: settings, runner: ScriptedRunner(),
      listings: ["quick", "endless", "broken", "crash", "full", "huge", "most"].map {
        ModelListing(name: $0, aliases: $0 == "quick" ? ["swift"] : [], conversions: pairs)
      },
      logger: Logger(label: "test") { _ in log ?? SwiftLogNoOpLogHandler() })
  }

  /// Makes a token as `zooport token create` does, and answers the value of an Authorization header.
  @discardableResult
  func token(
    _ name: String, _ scopes: Set<AccessScope> = [.submit, .read], team: String? = nil, expiresAt: Timestamp? = nil
  ) throws -> String {
    let secret = TokenSecret.generate()
    let token = AccessToken(
      id: .generate(), name: name, scopes: scopes, team: team, createdAt: .now, expiresAt: expiresAt)
    try app.tokens.insert(token, digest: secret.digest)
    return "Bearer \(secret.text)"
  }

  /// Runs a test with workers; `.router` without, `.live` with a real socket.
  func test(
    _ setup: TestingSetup = .router, guardLimits: ConnectionGuard.Limits = .init(),
    _ body: @Sendable (Client) async throws -> Void
  ) async throws {
    try await app.server.application(services: [app.webhooks, app.pool], guardLimits: guardLimits).test(setup) {
      try await body(Client(base: $0))
    }
    // The folder goes with its last reference.
    withExtendedLifetime(self) {}
  }

  /// Names in a part of the data folder, not in its subfolders, which may be going away.
  func files(_ part: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path.appending(part).string).sorted()
  }
}

/// JSON in and out, over the test client.
struct Client: Sendable {
  let base: any TestClientProtocol
  /// The Authorization header of every request.
  var authorization: String?

  /// The same client with a token.
  func with(_ authorization: String?) -> Client { Client(base: base, authorization: authorization) }

  /// An answer with its body parsed.
  struct Answer {
    let status: HTTPResponse.Status
    let headers: HTTPFields
    let body: String

    /// Nil unless the body is a JSON object.
    var json: [String: Any] {
      (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]) ?? [:]
    }

    subscript(_ name: String) -> String? { json[name] as? String }
  }

  @discardableResult
  func send(
    _ method: HTTPRequest.Method, _ uri: String, headers: HTTPFields = [:], body: String? = nil
  ) async throws -> Answer {
    var headers = headers
    if let authorization { headers[.authorization] = authorization }
    let response = try await base.executeRequest(
      uri: uri, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    let answer = Answer(status: response.status, headers: response.headers, body: String(buffer: response.body))
    if response.status.code >= 400, method != .head {
      #expect(answer.headers[.contentType] == "application/problem+json")
      for field in ["type", "title", "detail", "code"] { #expect(answer[field]?.isEmpty == false, "\(field)") }
      #expect(answer.json["status"] as? Int == response.status.code)
      #expect(answer.json["diagnostics"] is [Any])
    }
    #expect(response.headers[.xRequestID] != nil)
    Documentation.check(answer, to: method, uri)
    return answer
  }

  func submit(_ json: String) async throws -> Answer {
    try await send(.post, "/v1/jobs", headers: [.contentType: "application/json"], body: json)
  }

  /// Uploads a file and answers its id.
  func upload(_ name: String, _ content: String) async throws -> String {
    let answer = try await send(.put, "/v1/uploads/\(PercentEncoding.encode(name))", body: content)
    #expect(answer.status == .created)
    return try #require(answer["id"])
  }

  /// Submits a job of a scripted model and answers its URL.
  func start(_ model: String) async throws -> String {
    let id = try await upload("pytorch_model.bin", "weights")
    let answer = try await submit(
      """
      {"model": "\(model)", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": {"inline": {"b":1e-6,"a":[1.50]}},
       "checkpoint": {"upload": "\(id)"}, "reuse": false}
      """)
    #expect(answer.status == .accepted)
    return try #require(answer["url"])
  }

  /// Waits for a status and answers the job.
  @discardableResult
  func wait(_ url: String, for status: String) async throws -> Answer {
    let reached = try await eventually { try await send(.get, url)["status"] == status }
    #expect(reached, "\(url) did not become \(status)")
    return try await send(.get, url)
  }
}
