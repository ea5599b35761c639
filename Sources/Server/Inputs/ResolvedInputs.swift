package import API
import Core
import SystemPackage

/// The inputs of a job as single files, with what their servers say of them.
package struct ResolvedInputs: Sendable {
  /// One file.
  package enum File: Sendable {
    case upload(Identifier, FileName)
    case inline(String, FileName)
    case remote(RemoteFile)

    /// The name under which a conversion sees it.
    var name: FileName {
      switch self {
      case .upload(_, let name), .inline(_, let name): name
      case .remote(let file): file.name
      }
    }

    /// The file, if it is on somebody else's server.
    var remote: RemoteFile? { if case .remote(let file) = self { file } else { nil } }
  }

  /// The config, or that of each component.
  var configs: [File]
  /// The files of the checkpoint; a shard index among them.
  var checkpoint: [File] = []
  /// Files that go to the outputs as they are, each name once.
  private(set) var carried: [RemoteFile] = []
  /// What whoever asked for the job should know, in sentences.
  private(set) var warnings: [String] = []
  /// The inputs as they were asked for, with the commit that they are pinned to.
  package var pinned: (config: JobInput, checkpoint: [JobInput])

  /// Adds what one repository brings. A file that another brought with the same content is there already; one with other
  /// content is refused, since nobody could tell which belongs to the outputs.
  fileprivate mutating func carry(_ files: [RemoteFile], of reference: HubReference) throws(TransferFailure) {
    if files.isEmpty {
      let place = reference.subfolder.map { " in \($0)" } ?? ""
      warnings.append("nothing to carry: \(reference) has no tokenizer or generation file\(place)")
    }
    for file in files {
      guard let other = carried.first(where: { $0.name == file.name }) else {
        carried.append(file)
        continue
      }
      let isEqual =
        file.url == other.url || file.sha256 != nil && file.sha256 == other.sha256
        || file.tag != nil && (file.tag, file.size) == (other.tag, other.size)
      if isEqual { continue }
      throw TransferFailure(
        ConversionError(
          .usage,
          "\(file.name) of \(reference) differs from that of another repository that is carried; carry from one of them"
        ))
    }
  }
}

/// Finds out what the inputs of a job are. Blocks; for worker threads.
package struct InputResolver: Sendable {
  var hub: HubClient
  var fetcher: Fetcher
  let cache: DownloadCache
  let vault: SecretVault
  let isCancelled: @Sendable () -> Bool
  /// Told of bytes of small files as they come.
  var received: @Sendable (Int) -> Void = { _ in }

  /// Asks the servers of all inputs; every repository is asked once and pinned to one commit.
  ///
  /// Throws what `HubClient` and `Fetcher` throw, `.usage` for a repository whose files do not say what is meant, and
  /// what the shard index is refused for.
  package func resolve(config: JobInput, checkpoint: [JobInput]) throws(TransferFailure) -> ResolvedInputs {
    var repositories = Repositories(resolver: self)
    var configs: [ResolvedInputs.File] = []
    var pinnedConfigs: [JobInput] = []
    for config in config.parts {
      guard case .hub(let input, let name) = config else {
        configs.append(try single(config, limit: Limits.standard.configBytes))
        pinnedConfigs.append(config)
        continue
      }
      let (pinned, file) = try repositories.config(of: input, as: checkpoint.contains(config) ? .config : .namedConfig)
      pinnedConfigs.append(.hub(pinned, name))
      configs.append(.remote(file.inside(name.component)))
    }
    var resolved = ResolvedInputs(configs: configs, pinned: (JobInput(parts: pinnedConfigs), []))
    for input in checkpoint {
      guard case .hub(let reference, let name) = input else {
        let isIndex = HubSelection.isIndex(input.name.description)
        resolved.checkpoint.append(try single(input, limit: isIndex ? Limits.standard.indexBytes : .max))
        resolved.pinned.checkpoint.append(input)
        continue
      }
      let (pinned, files) = try repositories.checkpoint(of: reference)
      resolved.checkpoint += files.map { .remote($0.inside(name.component)) }
      resolved.pinned.checkpoint.append(.hub(pinned, name))
    }
    for case .hub(let input, _) in checkpoint + config.parts.filter({ !checkpoint.contains($0) }) where input.carry {
      try resolved.carry(repositories.carried(of: input), of: input.reference)
    }
    var names: Set<FileName> = []
    if let twice = (resolved.checkpoint.map(\.name)).first(where: { !names.insert($0).inserted }) {
      throw TransferFailure(ConversionError(.usage, "two files of the checkpoint have the name \(twice)"))
    }
    return resolved
  }

  /// The files of inputs that are one file each.
  private func single(_ input: JobInput, limit: Int) throws(TransferFailure) -> ResolvedInputs.File {
    switch input {
    case .upload(let id, let name): return .upload(id, name)
    case .inline(let text?, let name): return .inline(text, name)
    case .inline(nil, let name):
      throw TransferFailure(ConversionError(.internal, "the text of \(name) is missing"))
    case .url(let url, let name):
      return .remote(try bounded(fetcher.describe(url, name: name, isCancelled: isCancelled), to: limit))
    case .hub, .components:
      throw TransferFailure(ConversionError(.internal, "\(input.name) is no single file"))
    }
  }

  /// What sends requests for a file.
  func fetcher(for file: RemoteFile) -> Fetcher { (file.isOnHub ? hub.fetcher : fetcher).limited(to: file.limit) }

  /// The file with a limit that its download heeds too. Throws when its server states more.
  func bounded(_ file: RemoteFile, to limit: Int) throws(TransferFailure) -> RemoteFile {
    if let size = file.size, size > limit {
      throw TransferFailure(
        ConversionError(
          .hostileInput, "\(file.name) has \(size) bytes; a file of its kind may have at most \(limit)"))
    }
    var file = file
    file.limit = limit
    return file
  }

  /// The bytes of a small file, through the cache when its content has a name.
  func bytes(of file: RemoteFile, limit: Int) throws(TransferFailure) -> [UInt8] {
    guard let key = file.contentKey, file.size ?? .max <= limit else {
      let request = TransferRequest(.get, file.url, token: file.token)
      let (answer, body) = try fetcher(for: file).document(request, limit: limit, isCancelled: isCancelled)
      guard answer.head.status == 200 else { throw TransferFailure(answer.head, from: answer.url) }
      received(body.count)
      return body
    }
    let use = try cache.file(key, isCancelled: isCancelled) { (path) throws(TransferFailure) in
      let kept = cache.partialSize(key)
      try ResumableDownload(file, to: path, fetcher: fetcher(for: file), isCancelled: isCancelled, progress: { _ in })
        .run()
      received(max((file.size ?? 0) - kept, 0))
    }
    do throws(ConversionError) {
      let opened = try InputFile(path: use.path.string, name: file.name.description)
      return try opened.bytes(at: 0, count: opened.size)
    } catch {
      throw TransferFailure(error)
    }
  }
}
