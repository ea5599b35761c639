import API
import Core

/// The repositories of one job: each is listed once, and no head is asked for twice. Blocks.
package struct Repositories {
  /// A file of a repository at a revision.
  private struct Place: Hashable {
    let repository: String
    let revision: String
    let path: String
  }

  package let resolver: InputResolver
  private var listings: [HubReference: HubClient.Listing] = [:]
  /// Heads of files; nil for those that are not there.
  private var known: [Place: RemoteFile?] = [:]

  package init(resolver: InputResolver) { self.resolver = resolver }

  private func token(of input: HubInput) throws(TransferFailure) -> HubToken? {
    guard let sealed = input.token else { return nil }
    guard let token = resolver.vault.open(sealed).flatMap(HubToken.init) else {
      throw TransferFailure(
        ConversionError(.sourceNotFound, "the token of this job cannot be read any more; submit the job again"))
    }
    return token
  }

  // MARK: What is there

  /// What a repository holds at the commit of the job.
  private mutating func listing(
    of input: HubInput
  ) throws(TransferFailure) -> (commit: String, files: [String]?) {
    var repository = try bare(input)
    repository.revision = input.commit ?? repository.revision
    if let known = listings[repository], let commit = known.commit { return (commit, known.files) }
    var listing = try resolver.hub.listing(
      repository, token: try token(of: input), isCancelled: resolver.isCancelled)
    let commit: String
    if let known = listing.commit { commit = known } else { commit = try self.commit(of: input) }
    listing.commit = commit
    listings[repository] = listing
    return (commit, listing.files)
  }

  private func bare(_ input: HubInput) throws(TransferFailure) -> HubReference {
    do throws(HubReference.Refused) {
      return try HubReference(repository: input.reference.repository, revision: input.reference.revision)
    } catch {
      throw TransferFailure(ConversionError(.usage, error.reason))
    }
  }

  /// The commit of a branch of a mirror that has no API: what the head of any file says.
  private mutating func commit(of input: HubInput) throws(TransferFailure) -> String {
    let reference = input.reference
    let named = reference.files ?? [reference.page].compactMap { $0 }
    let candidates =
      named + HubSelection.candidates(for: .config, of: reference)
      + HubSelection.candidates(for: .checkpoint, of: reference)
    for path in candidates {
      guard let file = try heads([path], of: input, at: reference.revision)[0] else { continue }
      guard let commit = file.commit else { throw resolver.hub.unknownCommit(of: reference) }
      return commit
    }
    throw TransferFailure(
      ConversionError(
        .sourceNotFound,
        "there is no repository \(reference.repository) at \(reference.revision), or it has none of "
          + candidates.joined(separator: ", ")))
  }

  /// The files among which a part is chosen: all, or on a mirror that lists none those with a standard name.
  private mutating func selection(
    of input: HubInput, for part: HubSelection.Part
  ) throws(TransferFailure) -> (commit: String, selection: HubSelection) {
    let (commit, listed) = try listing(of: input)
    if let listed { return (commit, HubSelection(reference: input.reference, listing: listed)) }
    let candidates = HubSelection.candidates(for: part, of: input.reference)
    var found: [String] = []
    if part == .companions {
      found = zip(candidates, try heads(candidates, of: input, at: commit)).filter { $0.1 != nil }.map(\.0)
    } else {
      // The first one counts.
      for path in candidates where found.isEmpty {
        if try heads([path], of: input, at: commit)[0] != nil { found = [path] }
      }
    }
    return (commit, HubSelection(reference: input.reference, listing: found))
  }

  /// Heads of files, several at a time; nil for files that are not there.
  private mutating func heads(
    _ paths: [String], of input: HubInput, at revision: String
  ) throws(TransferFailure) -> [RemoteFile?] {
    func place(_ path: String) -> Place {
      Place(repository: input.reference.repository, revision: revision, path: path)
    }
    let unknown = paths.filter { known[place($0)] == nil }
    let (resolver, token) = (resolver, try token(of: input))
    let found = try Parallel.map(
      unknown, limit: resolver.fetcher.limits.requests, isCancelled: resolver.isCancelled
    ) { (path, isCancelled) throws(TransferFailure) -> RemoteFile? in
      guard let name = FileName(HubSelection.localName(path)) else {
        throw TransferFailure(ConversionError(.usage, "\(path): \(FileName.rule)"))
      }
      do throws(TransferFailure) {
        return try resolver.hub.file(
          path, as: name, of: input.reference, commit: revision, token: token, isCancelled: isCancelled)
      } catch {
        guard error.error.kind == .fileNotFound else { throw error }
        return nil
      }
    }
    for (path, file) in zip(unknown, found) { known.updateValue(file, forKey: place(path)) }
    return paths.map { known[place($0)] ?? nil }
  }

  /// Files that have to be there, none larger than `limit`.
  private mutating func files(
    _ paths: [String], of input: HubInput, commit: String, limit: Int = .max
  ) throws(TransferFailure) -> [RemoteFile] {
    var files: [RemoteFile] = []
    for (path, head) in zip(paths, try heads(paths, of: input, at: commit)) {
      guard let head else {
        let reference = input.reference
        throw TransferFailure(
          ConversionError(.fileNotFound, "\(reference.repository) has no file \(path) at \(reference.revision)"))
      }
      files.append(try resolver.bounded(head, to: limit))
    }
    return files
  }

  // MARK: What is wanted

  private func pinned(_ input: HubInput, _ commit: String) -> HubInput {
    var input = input
    input.commit = commit
    return input
  }

  /// The config of a reference.
  package mutating func config(
    of input: HubInput, as part: HubSelection.Part
  ) throws(TransferFailure) -> (HubInput, RemoteFile) {
    let (commit, selection) = try selection(of: input, for: part)
    let path = try choose { () throws(ConversionError) in try selection.config(part) }
    let found = try files([path], of: input, commit: commit, limit: Limits.standard.configBytes)
    return (pinned(input, commit), found[0])
  }

  /// What a reference that carries brings to the outputs.
  package mutating func carried(of input: HubInput) throws(TransferFailure) -> [RemoteFile] {
    let (commit, selection) = try selection(of: input, for: .companions)
    return try files(selection.carried, of: input, commit: commit, limit: Limits.standard.companionBytes)
  }

  /// The files of a checkpoint: those that were chosen, and all shards of an index among them.
  package mutating func checkpoint(of input: HubInput) throws(TransferFailure) -> (HubInput, [RemoteFile]) {
    let (commit, selection) = try selection(of: input, for: .checkpoint)
    var paths = try choose { () throws(ConversionError) in try selection.checkpoint() }
    var found: [RemoteFile] = []
    if let index = paths.first(where: HubSelection.isIndex) {
      let limit = Limits.standard.indexBytes
      found = try files([index], of: input, commit: commit, limit: limit)
      let bytes = try resolver.bytes(of: found[0], limit: limit)
      let shards = try choose { () throws(ConversionError) in
        try ShardIndex.parse(bytes, name: found[0].name.description).shards
      }
      let folder = index.split(separator: "/").dropLast().map { $0 + "/" }.joined()
      let named = Set(paths.filter { $0 != index })
      paths = shards.map { folder + $0 }
      if let other = named.subtracting(paths).sorted().first {
        throw TransferFailure(ConversionError(.usage, "\(other) is no shard of \(index)"))
      }
    }
    return (pinned(input, commit), found + (try files(paths, of: input, commit: commit)))
  }

  private func choose<Value>(_ body: () throws(ConversionError) -> Value) throws(TransferFailure) -> Value {
    do throws(ConversionError) { return try body() } catch { throw TransferFailure(error) }
  }
}
