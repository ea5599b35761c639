package import API
package import Core
import Foundation
import Synchronization
package import SystemPackage

/// Brings the inputs of a job to where a conversion finds them: links to uploads, downloads through the cache, or files
/// that stay where they are and are read in ranges. Blocks; for worker threads.
package struct InputStaging: Sendable {
  package private(set) var resolver: InputResolver
  /// The room on the disk for what comes and what is made of it.
  package let reservation: DiskReservation
  /// Told of bytes done and bytes expected, all files together.
  package let progress: @Sendable (_ done: Int, _ total: Int) -> Void

  /// Inputs that are in their places.
  package struct Staged: Sendable {
    /// The config; empty where each component has one.
    package let config: String
    /// The files of the checkpoint; empty where components have them.
    package let checkpoint: [String]
    /// Where the files of each component are, for a composed model.
    package let components: [ComponentInput]
    /// What is not on the disk.
    package var files = InputFiles()
    /// Files that go to the outputs, on the disk.
    package var carried: [String] = []
    /// What whoever asked for the job should know.
    package var warnings: [String] = []
    /// Bytes that were downloaded before the conversion.
    package var fetched = 0
    /// Keeps the cache from removing what is in use.
    fileprivate var uses: [DownloadCache.Use] = []

    /// Sorts files by the component that they are of. Each has its path.
    fileprivate init(
      configs: [(file: ResolvedInputs.File, path: String)], checkpoint: [(file: ResolvedInputs.File, path: String)]
    ) {
      var components: [ComponentInput] = []
      func change(_ name: String, _ change: (inout ComponentInput) -> Void) {
        let index = components.firstIndex { $0.name == name } ?? components.count
        if index == components.count { components.append(ComponentInput(name)) }
        change(&components[index])
      }
      for (file, path) in configs { if let name = file.name.component { change(name) { $0.config = path } } }
      for (file, path) in checkpoint {
        if let name = file.name.component { change(name) { $0.checkpoint.append(path) } }
      }
      self.components = components
      config = configs.first { $0.file.name.component == nil }?.path ?? ""
      self.checkpoint = checkpoint.filter { $0.file.name.component == nil }.map(\.path)
    }

    /// Makes a conversion read them.
    package func hand(to request: inout ConversionRequest) {
      (request.config, request.checkpoint, request.components) = (config, checkpoint, components)
      request.files = files
    }
  }

  /// Where the parts of a job go.
  package struct Places: Sendable {
    package let config: FilePath
    package let checkpoint: FilePath
    package let carried: FilePath
    /// Where the conversion will write; it need not exist yet.
    package let outputs: FilePath
    /// Path of an upload.
    package let upload: @Sendable (Identifier, FileName) -> FilePath
    /// Uploads are used where they are: on the command line they are the user's own files, perhaps with shards beside them.
    var leavesUploads = false

    package init(
      config: FilePath, checkpoint: FilePath, carried: FilePath, outputs: FilePath,
      upload: @escaping @Sendable (Identifier, FileName) -> FilePath, leavesUploads: Bool = false
    ) {
      self.config = config
      self.checkpoint = checkpoint
      self.carried = carried
      self.outputs = outputs
      self.upload = upload
      self.leavesUploads = leavesUploads
    }

    /// Where a file is going to be.
    package func path(of file: ResolvedInputs.File, in folder: FilePath) -> FilePath {
      if leavesUploads, case .upload(let id, let name) = file { return upload(id, name) }
      return folder.appending(file.name.description)
    }
  }

  /// The same for an answer that somebody waits for. `received` is told of bytes as they come.
  func hasty(received: @escaping @Sendable (Int) -> Void) -> InputStaging {
    var staging = self
    staging.resolver.received = received
    staging.resolver.fetcher = resolver.fetcher.hasty()
    staging.resolver.hub.fetcher = resolver.hub.fetcher.hasty()
    return staging
  }

  private var cache: DownloadCache { resolver.cache }
  private var isCancelled: @Sendable () -> Bool { resolver.isCancelled }

  // MARK: Jobs

  /// Puts everything into its place. With `streams`, files of the checkpoint that can be read in ranges are not
  /// downloaded; without, that happens only when the disk would not hold inputs and outputs.
  ///
  /// Throws what downloads throw, and `.diskFull` when not even the outputs would fit.
  package func stage(_ inputs: ResolvedInputs, at places: Places, streams: Bool) throws(TransferFailure) -> Staged {
    let configs = inputs.configs.map { ($0, places.path(of: $0, in: places.config)) }
    let checkpoint = inputs.checkpoint.map { ($0, places.path(of: $0, in: places.checkpoint)) }
    let carried = inputs.carried.map { places.carried.appending($0.name.description) }
    var staged = Staged(
      configs: configs.map { ($0, $1.string) }, checkpoint: checkpoint.map { ($0, $1.string) })
    for (file, path) in configs + checkpoint {
      if places.leavesUploads, case .upload = file { continue }
      staged.files.call(path.string, file.name.description)
    }
    staged.carried = carried.map(\.string)
    staged.warnings = inputs.warnings
    let isStreamed = try decide(inputs, places, streams: streams)

    var downloads: [(file: RemoteFile, path: FilePath)] = zip(inputs.carried, carried).map { ($0, $1) }
    for (index, (file, path)) in (configs + checkpoint).enumerated() {
      if file.name.component != nil { try makeFolder(of: path) }
      switch file {
      case .upload where places.leavesUploads: break
      case .upload(let id, let name): try link(places.upload(id, name), to: path, named: "upload \(id) (\(name))")
      case .inline(let text, let name): try write(text, to: path, name)
      case .remote(let remote):
        let isWeights = index >= configs.count && !HubSelection.isIndex(remote.name.description)
        if isStreamed, isWeights, let bytes = ranges(of: remote) {
          staged.files.bring(InputFile(path: file.name.description, bytes: bytes), as: path.string)
        } else {
          downloads.append((remote, path))
        }
      }
    }
    let fetched = try download(downloads)
    staged.uses = fetched.uses
    staged.fetched = fetched.bytes
    return staged
  }

  /// Whether the checkpoint stays where it is. Reserves the room for what comes, and for outputs as large as the inputs;
  /// what the cache keeps for nobody makes way.
  private func decide(
    _ inputs: ResolvedInputs, _ places: Places, streams: Bool
  ) throws(TransferFailure) -> Bool {
    let remote = inputs.checkpoint.compactMap(\.remote)
    let weights = remote.filter { !HubSelection.isIndex($0.name.description) }
    // What is downloaded whatever is decided, and copied to the outputs if it is carried.
    let others = remote.filter { HubSelection.isIndex($0.name.description) } + inputs.configs.compactMap(\.remote)
    let carriedBytes = inputs.carried.map { $0.size ?? 0 }.saturatingSum()
    if streams, let file = weights.first(where: { !canStream($0) }) {
      let reason = file.size == nil ? "does not state the size of" : "does not serve ranges of"
      throw TransferFailure(
        "\(file.url.host) \(reason) \(file.name), which streaming needs; ask for the conversion without it")
    }
    let isStreamable = !weights.isEmpty && weights.allSatisfy(canStream)
    let keys = Set((remote + inputs.carried + inputs.configs.compactMap(\.remote)).compactMap(\.contentKey))
    let shortage: DiskReservation.Shortage?
    do throws(Errno) {
      var least = DiskNeeds(floor: reservation.space.floor)
      for file in others + inputs.carried { try least.add(missingBytes(file), at: folder(of: file, places)) }
      try least.add(carriedBytes, at: places.outputs)
      if streams && isStreamable || weights.allSatisfy({ missingBytes($0) == 0 }) {
        shortage = try least.reserve(reservation, keeping: keys)
        if shortage == nil { return streams && isStreamable }
      } else {
        let outputs = weights.map { $0.size ?? 0 }.saturatingSum()
        try least.add(outputs, at: places.outputs)
        var (stored, streamed) = (least, least)
        for file in weights { try stored.add(missingBytes(file), at: folder(of: file, places)) }
        try streamed.add(min(outputs, Conversion.spoolBytes), at: places.outputs)
        shortage = try stored.reserve(reservation, keeping: keys)
        if shortage == nil { return false }
        if isStreamable, try streamed.reserve(reservation, keeping: keys) == nil { return true }
      }
    } catch {
      throw TransferFailure(writing: error)
    }
    guard let shortage else { return false }
    throw TransferFailure(ConversionError(shortage, for: "downloads and outputs"))
  }

  /// Whether a file can be read where it is, as far as is known.
  private func canStream(_ file: RemoteFile) -> Bool {
    file.contentKey.map(cache.holds) ?? false || file.size != nil && file.servesRanges ?? true
  }

  /// Where the bytes of a file go: the cache takes what has a name there.
  private func folder(of file: RemoteFile, _ places: Places) -> FilePath {
    file.contentKey == nil ? places.checkpoint : reservation.space.path
  }

  /// Bytes of a file that a download started now would bring; 0 when nobody knows.
  func missingBytes(_ file: RemoteFile) -> Int {
    guard let size = file.size, let key = file.contentKey else { return file.size ?? 0 }
    return cache.holds(key) ? 0 : max(size - cache.partialSize(key), 0)
  }

  /// The file as ranges; nil when it is in the cache already or its size is not known.
  private func ranges(of file: RemoteFile, received: @escaping @Sendable (Int) -> Void = { _ in }) -> RemoteBytes? {
    guard let size = file.size, !(file.contentKey.map(cache.holds) ?? false) else { return nil }
    return RemoteBytes(
      file, size: size, fetcher: resolver.fetcher(for: file), isCancelled: isCancelled, received: received)
  }

  /// Asks for the headers of files at the same time: opened one after the other, each would cost a turn or two.
  private func prefetch(_ files: [InputFile]) throws(TransferFailure) {
    _ = try Parallel.map(files, limit: resolver.fetcher.limits.requests, isCancelled: isCancelled) {
      (file, _) throws(TransferFailure) in
      do throws(ConversionError) { try file.prefetchHeaders() } catch { throw TransferFailure(error) }
    }
  }

  /// Downloads files, several at a time, and links them to their places. Answers how many bytes came.
  private func download(
    _ downloads: [(file: RemoteFile, path: FilePath)]
  ) throws(TransferFailure) -> (uses: [DownloadCache.Use], bytes: Int) {
    guard !downloads.isEmpty else { return ([], 0) }
    let total = downloads.map { $0.file.size ?? 0 }.saturatingSum()
    let done = Mutex([Int](repeating: 0, count: downloads.count))
    let came = Mutex(0)
    progress(0, total)
    let report = { @Sendable [progress] (index: Int, position: Int) in
      let sum = done.withLock { done in
        done[index] = position
        return done.reduce(0, +)
      }
      progress(sum, max(total, sum))
    }
    let uses = try Parallel.map(
      Array(downloads.enumerated()), limit: resolver.fetcher.limits.connections, isCancelled: isCancelled
    ) { (entry, isCancelled) throws(TransferFailure) in
      let (index, (file, path)) = entry
      func fetch(to target: FilePath) throws(TransferFailure) {
        let first = Mutex<Int?>(nil)
        try ResumableDownload(file, to: target, fetcher: resolver.fetcher(for: file), isCancelled: isCancelled) {
          position in
          let before = first.withLock { first in
            defer { first = position }
            return first
          }
          // What an earlier attempt left has not come now.
          if let before, position > before { came.withLock { $0 += position - before } }
          report(index, position)
        }.run()
      }
      guard let key = file.contentKey else {
        try fetch(to: path)
        return DownloadCache.Use?.none
      }
      let use = try cache.file(key, isCancelled: isCancelled, download: fetch)
      if let size = file.size { report(index, size) }
      try link(use.path, to: path, named: "the download of \(file.name)")
      return use
    }
    return (uses.compactMap { $0 }, came.withLock { $0 })
  }

  /// Makes the folder of a component. It may be there for another file.
  private func makeFolder(of path: FilePath) throws(TransferFailure) {
    let folder = path.removingLastComponent()
    guard mkdir(folder.string, 0o750) == 0 || errno == EEXIST else {
      throw TransferFailure(writing: Errno(rawValue: errno))
    }
  }

  private func link(_ target: FilePath, to path: FilePath, named name: String) throws(TransferFailure) {
    guard access(target.string, R_OK) == 0 else {
      throw TransferFailure(ConversionError(.unreadableInput, "\(name) is gone; send it again", cause: target.string))
    }
    let absolute =
      target.isAbsolute
      ? target : FilePath(FileManager.default.currentDirectoryPath).appending(target.components)
    guard symlink(absolute.string, path.string) == 0 else { throw TransferFailure(writing: Errno(rawValue: errno)) }
  }

  private func write(_ text: String, to path: FilePath, _ name: FileName) throws(TransferFailure) {
    do {
      try Data(text.utf8).write(to: URL(filePath: path.string))
    } catch {
      throw TransferFailure(writing: error)
    }
  }

  // MARK: Plans

  /// Opens everything where it is, so that headers can be read; only configs and indexes are downloaded.
  ///
  /// Names take the place of paths. `upload` answers the path of an upload; with `leavesUploads`, that path is its name.
  package func open(
    _ inputs: ResolvedInputs, upload: (Identifier, FileName) -> FilePath, leavesUploads: Bool
  ) throws(TransferFailure) -> Staged {
    func name(of file: ResolvedInputs.File) -> String {
      if leavesUploads, case .upload(let id, let given) = file { return upload(id, given).string }
      return file.name.description
    }
    var staged = Staged(
      configs: inputs.configs.map { ($0, name(of: $0)) }, checkpoint: inputs.checkpoint.map { ($0, name(of: $0)) })
    var elsewhere: [InputFile] = []
    for (index, file) in (inputs.configs + inputs.checkpoint).enumerated() {
      let name = name(of: file)
      let isConfig = index < inputs.configs.count
      do throws(ConversionError) {
        switch file {
        case .upload where leavesUploads: break
        case .upload(let id, let given):
          staged.files.bring(try InputFile(path: upload(id, given).string, name: name), as: name)
        case .inline(let text, _):
          staged.files.bring(InputFile(path: name, bytes: MemoryBytes(Array(text.utf8)), missing: 0), as: name)
        case .remote(let remote):
          if !isConfig, !HubSelection.isIndex(name), let bytes = ranges(of: remote, received: resolver.received) {
            elsewhere.append(InputFile(path: name, bytes: bytes, missing: missingBytes(remote)))
          } else if !isConfig, !HubSelection.isIndex(name), let key = remote.contentKey, cache.holds(key) {
            let use = try cached(key)
            staged.uses.append(use)
            staged.files.bring(try InputFile(path: use.path.string, name: name), as: name)
          } else if !isConfig, !HubSelection.isIndex(name) {
            throw ConversionError(
              .fetchFailed, "\(remote.url.host) does not state the size of \(name), so its headers cannot be read alone"
            )
          } else {
            let bytes = try small(remote)
            // It stays in the cache if its content has a name there.
            let missing = remote.contentKey.map(cache.holds) ?? false ? 0 : bytes.count
            staged.files.bring(InputFile(path: name, bytes: MemoryBytes(bytes), missing: missing), as: name)
          }
        }
      } catch {
        throw TransferFailure(error)
      }
    }
    for file in elsewhere { staged.files.bring(file, as: file.path) }
    try prefetch(elsewhere)
    return staged
  }

  private func cached(_ key: String) throws(ConversionError) -> DownloadCache.Use {
    do throws(TransferFailure) {
      return try cache.file(key, isCancelled: isCancelled) { (_) throws(TransferFailure) in
        throw TransferFailure("a file went while the plan was made; try again", mayPass: true)
      }
    } catch {
      throw error.error
    }
  }

  private func small(_ file: RemoteFile) throws(ConversionError) -> [UInt8] {
    do throws(TransferFailure) {
      return try resolver.bytes(of: file, limit: Limits.standard.indexBytes)
    } catch {
      throw error.error
    }
  }
}
