import Crypto
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

extension TestHub.File {
  /// A large file with its true digest.
  static func large(_ bytes: Data) -> TestHub.File {
    TestHub.File(bytes, sha256: SHA256.hash(data: bytes).hexadecimal, isLarge: true)
  }

  /// A small file.
  static func small(_ text: String) -> TestHub.File {
    TestHub.File(Data(text.utf8), sha256: SHA256.hash(data: Data(text.utf8)).hexadecimal, isLarge: false)
  }
}

/// Bytes without a pattern that a mistake could repeat.
func someBytes(_ count: Int, seed: UInt64 = 1) -> Data {
  var state = seed
  var bytes = Data(capacity: count)
  for _ in 0..<count {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    bytes.append(UInt8(truncatingIfNeeded: state >> 56))
  }
  return bytes
}

/// A hub, and what the service would talk to it with.
struct HubFixture {
  static let repository = "owner/model"

  let hub: TestHub
  let folder: TemporaryFolder
  let fetching: Fetching

  init(
    _ files: [String: TestHub.File], token: String? = nil, cacheLimit: Int = 1 << 30,
    limits change: (inout Fetcher.Limits) -> Void = { _ in }
  ) throws {
    hub = try TestHub([Self.repository: .init(files)])
    folder = try TemporaryFolder()
    var settings = try Settings(flags: ["hub-endpoint": hub.endpoint], environment: [:])
    settings.fetchLimits.backoff = .milliseconds(10)
    settings.fetchLimits.patience = .zero
    settings.hubToken = token.flatMap(HubToken.init)
    change(&settings.fetchLimits)
    fetching = Fetching(
      settings: settings.fetching, cache: try DownloadCache(root: folder.path.appending("cache"), limit: cacheLimit),
      vault: SecretVault(), space: FreeSpace(path: folder.path, floor: 0))
  }

  var reference: HubReference {
    get throws { try HubReference(repository: Self.repository) }
  }

  func resolver(isCancelled: @escaping @Sendable () -> Bool = { false }) -> InputResolver {
    fetching.staging(isCancelled: isCancelled, progress: { _, _ in }).resolver
  }

  /// The head of a file at the commit of the hub.
  func file(_ path: String, token: String? = nil) async throws -> RemoteFile {
    let (reference, client) = (try reference, fetching.hub)
    return try await onThread {
      try client.file(
        path, as: #require(FileName(HubSelection.localName(path))), of: reference, commit: "main",
        token: token.flatMap(HubToken.init), isCancelled: { false })
    }.result.get()
  }

  /// Downloads a file to a path of the folder and answers its bytes.
  func download(
    _ remote: RemoteFile, to name: String = "file", isCancelled: @escaping @Sendable () -> Bool = { false }
  ) async throws -> Data {
    let (fetcher, path) = (fetching.hub.fetcher, folder.path.appending(name))
    return try await onThread {
      try ResumableDownload(remote, to: path, fetcher: fetcher, isCancelled: isCancelled, progress: { _ in }).run()
      return try Data(contentsOf: URL(filePath: path.string))
    }.result.get()
  }
}

/// The error that a transfer ends with; nil when it succeeds.
func transferError(_ body: () async throws -> some Sendable) async -> ConversionError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return (error as? TransferFailure)?.error ?? error as? ConversionError
  }
}
