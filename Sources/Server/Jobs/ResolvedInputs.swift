import Core
import SystemPackage

/// The inputs of a job as single files, with what their servers say of them.
struct ResolvedInputs: Sendable {
  /// One file.
  enum File: Sendable {
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
  }

  var config: File
  /// The files of the checkpoint; a shard index among them.
  var checkpoint: [File] = []
  /// Files that go to the outputs as they are.
  var carried: [RemoteFile] = []
  /// The inputs as they were asked for, with the commit that they are pinned to.
  var pinned: (config: JobInput, checkpoint: [JobInput])
}

/// Finds out what the inputs of a job are. Blocks; for worker threads.
struct InputResolver: Sendable {
  let hub: HubClient
  let fetcher: Fetcher
  let cache: DownloadCache
  let vault: SecretVault
  let isCancelled: @Sendable () -> Bool

  /// Asks the servers of all inputs; every repository is asked once and pinned to one commit.
  ///
  /// Throws what `HubClient` and `Fetcher` throw, `.usage` for a repository whose files do not say what is meant, and
  /// what the shard index is refused for.
  func resolve(config: JobInput, checkpoint: [JobInput]) throws(TransferFailure) -> ResolvedInputs {
    var repositories = Repositories(resolver: self)
    let configFile: ResolvedInputs.File
    var pinnedConfig = config
    if case .hub(let input, let name) = config {
      let (pinned, file) = try repositories.config(of: input)
      pinnedConfig = .hub(pinned, name)
      configFile = .remote(file)
    } else {
      configFile = try single(config)
    }
    var resolved = ResolvedInputs(config: configFile, pinned: (pinnedConfig, []))
    if case .hub(let input, _) = config, checkpoint.isEmpty { resolved.carried = try repositories.carried(of: input) }
    for input in checkpoint {
      guard case .hub(let reference, let name) = input else {
        resolved.checkpoint.append(try single(input))
        resolved.pinned.checkpoint.append(input)
        continue
      }
      let (pinned, files) = try repositories.checkpoint(of: reference)
      resolved.checkpoint += files.map { .remote($0) }
      resolved.carried += try repositories.carried(of: reference)
      resolved.pinned.checkpoint.append(.hub(pinned, name))
    }
    var names: Set<FileName> = []
    if let twice = (resolved.checkpoint.map(\.name)).first(where: { !names.insert($0).inserted }) {
      throw TransferFailure(ConversionError(.usage, "two files of the checkpoint have the name \(twice)"))
    }
    return resolved
  }

  /// The files of inputs that are one file each.
  private func single(_ input: JobInput) throws(TransferFailure) -> ResolvedInputs.File {
    switch input {
    case .upload(let id, let name): return .upload(id, name)
    case .inline(let text?, let name): return .inline(text, name)
    case .inline(nil, let name):
      throw TransferFailure(ConversionError(.internal, "the text of \(name) is missing"))
    case .url(let url, let name): return .remote(try fetcher.describe(url, name: name, isCancelled: isCancelled))
    case .hub: throw TransferFailure(ConversionError(.internal, "a repository is no single file"))
    }
  }

  /// What sends requests for a file.
  func fetcher(for file: RemoteFile) -> Fetcher { file.isOnHub ? hub.fetcher : fetcher }

  /// The bytes of a small file, through the cache when its content has a name.
  func bytes(of file: RemoteFile, limit: Int) throws(TransferFailure) -> [UInt8] {
    guard let key = file.contentKey, file.size ?? .max <= limit else {
      let request = TransferRequest(.get, file.url, token: file.token)
      let (answer, body) = try fetcher(for: file).document(request, limit: limit, isCancelled: isCancelled)
      guard answer.head.status == 200 else { throw TransferFailure(answer.head, from: answer.url) }
      return body
    }
    let use = try cache.file(key, isCancelled: isCancelled) { (path) throws(TransferFailure) in
      try ResumableDownload(file, to: path, fetcher: fetcher(for: file), isCancelled: isCancelled, progress: { _ in })
        .run()
    }
    do throws(ConversionError) {
      let opened = try InputFile(path: use.path.string, name: file.name.description)
      return try opened.bytes(at: 0, count: opened.size)
    } catch {
      throw TransferFailure(error)
    }
  }
}

/// The repositories of one job: each is listed once.
private struct Repositories {
  let resolver: InputResolver
  private var listings: [HubReference: HubClient.Listing] = [:]

  init(resolver: InputResolver) { self.resolver = resolver }

  private func token(of input: HubInput) throws(TransferFailure) -> HubToken? {
    guard let sealed = input.token else { return nil }
    guard let token = resolver.vault.open(sealed).flatMap(HubToken.init) else {
      throw TransferFailure(
        ConversionError(.sourceNotFound, "the token of this job cannot be read any more; submit the job again"))
    }
    return token
  }

  /// What a repository holds at the commit of the job.
  private mutating func listing(of input: HubInput) throws(TransferFailure) -> HubClient.Listing {
    var repository = input.reference
    repository.revision = input.commit ?? repository.revision
    (repository.subfolder, repository.variant, repository.files) = (nil, nil, nil)
    if let known = listings[repository] { return known }
    let listing = try resolver.hub.listing(
      repository, token: try token(of: input), isCancelled: resolver.isCancelled)
    listings[repository] = listing
    return listing
  }

  private mutating func selection(
    of input: HubInput, needsCheckpoint: Bool
  ) throws(TransferFailure) -> (HubClient.Listing, HubSelection) {
    let listing = try listing(of: input)
    do throws(ConversionError) {
      let selection = try HubSelection(
        input.reference, among: listing.files, needsCheckpoint: needsCheckpoint, carry: input.carry)
      return (listing, selection)
    } catch {
      throw TransferFailure(error)
    }
  }

  private func pinned(_ input: HubInput, _ listing: HubClient.Listing) -> HubInput {
    var input = input
    input.commit = listing.commit
    return input
  }

  /// Asks for the heads of files, several at a time.
  private func files(
    _ paths: [String], of input: HubInput, commit: String
  ) throws(TransferFailure) -> [RemoteFile] {
    let (resolver, token) = (resolver, try token(of: input))
    return try Parallel.map(
      paths, limit: resolver.fetcher.limits.connections, isCancelled: resolver.isCancelled
    ) { (path, isCancelled) throws(TransferFailure) in
      guard let name = FileName(HubSelection.localName(path)) else {
        throw TransferFailure(ConversionError(.usage, "\(path): \(FileName.rule)"))
      }
      return try resolver.hub.file(
        path, as: name, of: input.reference, commit: commit, token: token, isCancelled: isCancelled)
    }
  }

  mutating func config(of input: HubInput) throws(TransferFailure) -> (HubInput, RemoteFile) {
    let (listing, selection) = try selection(of: input, needsCheckpoint: false)
    let files = try files([selection.config], of: input, commit: listing.commit)
    return (pinned(input, listing), files[0])
  }

  mutating func carried(of input: HubInput) throws(TransferFailure) -> [RemoteFile] {
    guard input.carry else { return [] }
    let (listing, selection) = try selection(of: input, needsCheckpoint: false)
    return try files(selection.carried, of: input, commit: listing.commit)
  }

  /// The files of a checkpoint: those that were chosen, and all shards of an index among them.
  mutating func checkpoint(of input: HubInput) throws(TransferFailure) -> (HubInput, [RemoteFile]) {
    let (listing, selection) = try selection(of: input, needsCheckpoint: true)
    var paths = selection.checkpoint
    var found: [RemoteFile] = []
    if let index = paths.first(where: HubSelection.isIndex) {
      found = try files([index], of: input, commit: listing.commit)
      let limit = Limits.standard.indexBytes
      let bytes = try resolver.bytes(of: found[0], limit: limit)
      let shards: [String]
      do throws(ConversionError) {
        shards = try ShardIndex.parse(bytes, name: found[0].name.description).shards
      } catch {
        throw TransferFailure(error)
      }
      let folder = index.split(separator: "/").dropLast().map { $0 + "/" }.joined()
      let named = Set(paths.filter { $0 != index })
      paths = shards.map { folder + $0 }
      if let other = named.subtracting(paths).sorted().first {
        throw TransferFailure(ConversionError(.usage, "\(other) is no shard of \(index)"))
      }
    }
    return (pinned(input, listing), found + (try files(paths, of: input, commit: listing.commit)))
  }
}
