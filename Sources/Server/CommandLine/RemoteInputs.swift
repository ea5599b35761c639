import API
import ArgumentParser
import Core
import Foundation
import Inputs
import Jobs
import SystemPackage

/// Inputs of a command that are somewhere else: repositories of a hub and URLs, brought as the service brings them.
///
/// The cache is `$XDG_CACHE_HOME/zooport`, or `~/.cache/zooport`. Settings come from the environment, under the names that
/// `zooport serve` has for them.
struct RemoteInputs {
  private let fetching: Fetching

  /// Bytes of each disk that stay free.
  var diskFloor: Int { fetching.space.floor }

  /// True for an argument that names something elsewhere.
  static func isRemote(_ text: String) -> Bool {
    let start = text.prefix(8).lowercased()
    return ["hub://", "https://", "http://"].contains { start.hasPrefix($0) }
  }

  /// Throws `ValidationError` for settings that are wrong, and `ExitCode` after saying that the cache cannot be used.
  init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
    var settings: Settings
    do { settings = try Settings(flags: [:], environment: environment) } catch {
      throw ValidationError(error.description)
    }
    settings.egress.isForTerminal = true
    let home = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : FilePath($0) }
    let folder = home ?? FilePath(NSHomeDirectory()).appending(".cache")
    let cache: DownloadCache
    do throws(ConversionError) {
      cache = try Self.cache(at: folder.appending("zooport"), limit: settings.cacheLimit)
    } catch {
      throw TerminalSession(showsProgress: false, debug: false).fail(error)
    }
    // What an earlier command left beyond the limit, or did not finish.
    cache.shrink(partialsBefore: settings.retention.partials.map { .now.advanced(by: .zero - $0) })
    fetching = Fetching(
      settings: settings.fetching, cache: cache, vault: SecretVault(),
      space: FreeSpace(path: folder, floor: settings.diskFloor) { cache.makeRoom($0, keeping: $1) },
      notice: { text in
        StandardError.clearLine()
        StandardError.write("\(text)\n")
      })
  }

  /// A cache in which files can be kept.
  private static func cache(at path: FilePath, limit: Int) throws(ConversionError) -> DownloadCache {
    func unusable(_ reason: String) -> ConversionError {
      ConversionError(
        .outputFailed, "the cache \(path) cannot be used: \(reason); XDG_CACHE_HOME names another place for it")
    }
    let cache: DownloadCache
    do {
      cache = try DownloadCache(root: path, limit: limit)
    } catch {
      let fault = (error as? CocoaError)?.underlying as? POSIXError
      throw unusable(fault.map { "\(Errno(rawValue: $0.code.rawValue))" } ?? "its folders cannot be made")
    }
    for folder in ["files", "partial", "locks"] as [FilePath.Component] {
      guard access(path.appending(folder).string, W_OK | X_OK) == 0 else { throw unusable("\(Errno(rawValue: errno))") }
    }
    return cache
  }

  /// The staging of one command.
  func staging(_ progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void) -> InputStaging {
    fetching.staging(isCancelled: { TerminalSignal.signal != nil }, progress: progress)
  }

  /// What a command line names.
  struct References {
    let config: JobInput
    let checkpoint: [JobInput]
    /// Where the local ones are.
    let paths: [Identifier: FilePath]
  }

  /// The inputs that a command line names. Local paths are uploads of their own: `References.paths` finds them again. `choices`
  /// hold for the repositories of the checkpoint, or for that of the config where the checkpoint is none. `components` are
  /// named instead of checkpoint and config.
  ///
  /// Throws `ValidationError` for references that mean nothing, or a config that is missing.
  func references(
    _ request: ConversionRequest, config: String?, components: [ComponentPlace] = [], choices: HubChoices
  ) throws -> References {
    var paths: [Identifier: FilePath] = [:]
    func input(_ text: String, fallback: String, _ choices: HubChoices?) throws -> JobInput {
      do {
        if let reference = try HubReference.parse(text, endpoint: fetching.hub.endpoint) {
          let last = reference.repository.split(separator: "/").last.map(String.init) ?? ""
          let input = HubInput(
            reference: try choices?.narrow(reference) ?? reference, carry: choices?.carry ?? false)
          return .hub(input, FileName(last) ?? Self.name(fallback))
        }
        guard Self.isRemote(text) else {
          let id = Identifier.generate()
          paths[id] = FilePath(text)
          return .upload(id, FileName(FilePath(text).lastComponent?.string ?? "") ?? Self.name(fallback))
        }
        let url = try SourceURL(text)
        return .url(url, url.fileName ?? Self.name(fallback))
      } catch let refused as HubReference.Refused {
        throw ValidationError(refused.reason)
      } catch let refused as SourceURL.Refused {
        throw ValidationError(refused.reason)
      }
    }
    func isReference(_ input: JobInput) -> Bool { if case .hub = input { true } else { false } }
    func upload(_ path: String, of component: String) -> JobInput {
      let id = Identifier.generate()
      paths[id] = FilePath(path)
      return .upload(
        id, Self.name(FilePath(path).lastComponent?.string ?? "", fallback: "checkpoint").inside(component))
    }
    var configs: [JobInput] = []
    var checkpoint = try request.checkpoint.map { try input($0, fallback: "checkpoint.bin", choices) }
    for component in components {
      guard component.isRemote else {
        let folder = try component.folder(request.command)
        configs.append(upload(folder.config ?? "", of: component.name))
        checkpoint += folder.checkpoint.map { upload($0, of: component.name) }
        continue
      }
      guard case .hub(let repository, let name) = try input(component.place, fallback: "checkpoint", choices) else {
        throw ValidationError(
          "--component \(component.name): '\(component.place)' is no repository of a hub. A component has a config and "
            + "weights: name the repository, or a folder.")
      }
      configs.append(.hub(repository, name.inside(component.name)))
      if request.command == .convert { checkpoint.append(.hub(repository, name.inside(component.name))) }
    }
    let holdsForCheckpoint = checkpoint.contains(where: isReference)
    let configInput: JobInput
    if !configs.isEmpty {
      configInput = JobInput(parts: configs)
    } else if let config {
      configInput = try input(config, fallback: "config.json", holdsForCheckpoint ? nil : choices)
    } else if checkpoint.count == 1, isReference(checkpoint[0]) {
      configInput = checkpoint[0]
    } else {
      throw ValidationError("--config is missing. Only a repository of a hub brings its own.")
    }
    if !holdsForCheckpoint, !configInput.parts.contains(where: isReference) { try choices.refuse() }
    return References(config: configInput, checkpoint: checkpoint, paths: paths)
  }

  private static func name(_ text: String, fallback: String) -> FileName { FileName(text) ?? name(fallback) }

  private static func name(_ text: String) -> FileName {
    guard let name = FileName(text) else { preconditionFailure("a constant name") }
    return name
  }
}
