import API
import Core
import Crypto
import Foundation
import Inputs
import SystemPackage

/// One attempt of a job from its inputs to outputs that are ready to be published. Blocks; for worker threads.
struct JobExecution {
  let job: Job
  let attempt: Attempt
  let folder: AttemptFolder
  let data: DataFolder
  let fetching: Fetching
  let settings: ConversionSettings
  /// The room on the disk, for the time of the attempt.
  let reservation: DiskReservation
  /// Throws when the owner may not store so many bytes of outputs.
  let quota: @Sendable (_ bytes: Int) throws -> Void
  let reporter: JobReporter
  /// Told what names and values of the inputs take.
  let memory: MemoryAccount

  /// Fetches, converts and digests. The outputs are complete and synced in `folder.outputs` when it returns.
  ///
  /// `pin` is told the commits that references to a hub stand for, before anything is downloaded.
  func run(
    _ runner: some ConversionRunner, pin: (_ config: JobInput, _ checkpoint: [JobInput]) throws -> Void
  ) throws(JobFailure) -> JobResult {
    do {
      return try convert(runner, pin: pin)
    } catch {
      var failure = JobFailure(of: error)
      if failure.fault.code == .diskFull, reservation.isHeldByOthers { failure.remedy = .wait }
      throw failure
    }
  }

  private func convert(
    _ runner: some ConversionRunner, pin: (_ config: JobInput, _ checkpoint: [JobInput]) throws -> Void
  ) throws -> JobResult {
    let staged = try stage(pin: pin)
    defer { withExtendedLifetime(staged) {} }
    var options = job.options
    options.report = true
    options.memoryBudget = settings.memoryBudget
    options.threads = settings.threads
    var request = ConversionRequest(
      command: job.command, model: job.model, sourceFormat: job.sourceFormat, targetFormat: job.targetFormat,
      config: staged.config, outputDirectory: folder.outputs.string, options: options)
    staged.hand(to: &request)
    request.memory = memory
    request.companions = staged.carried
    let result: ConversionResult
    let watch = SpaceWatch(attempt, reservation: reservation, quota: quota)
    do {
      result = try runner.run(request, monitor: watch)
    } catch {
      if let refusal = watch.failure { throw refusal }
      throw withoutPaths(error)
    }

    var progress = attempt.progress
    var outputs: [JobOutput] = []
    // Components have folders, which are part of the names of their files.
    let hasFolders = result.configs.count > 1
    for path in result.files {
      let path = FilePath(path)
      outputs.append(try digest(hasFolders ? path : try raised(path)))
    }
    progress.phase = nil
    return JobResult(outputs: outputs, warnings: staged.warnings + warnings(of: result), progress: progress)
  }

  /// The warnings as sentences. A job shows as many as people read; its report, which is an output, has them all.
  private func warnings(of result: ConversionResult) -> [String] {
    let shown = result.warnings.prefix(Findings.limitOfConversions).map { withoutPaths($0.message) }
    let rest = result.warnings.count - shown.count
    return rest > 0 ? shown + ["\(rest) more warnings are in the report"] : shown
  }

  /// Puts the inputs where the conversion finds them.
  private func stage(
    pin: (_ config: JobInput, _ checkpoint: [JobInput]) throws -> Void
  ) throws -> InputStaging.Staged {
    let staging = fetching.staging(reservation: reservation, isCancelled: { [attempt] in attempt.isCancelled }) {
      [attempt, reservation] done, total in
      attempt.reportFetching(done: done, total: total)
      reservation.wrote(done)
    }
    attempt.reportFetching(done: 0, total: 0)
    let inputs = try staging.resolver.resolve(config: job.config, checkpoint: job.checkpoint)
    if inputs.pinned.config != job.config || inputs.pinned.checkpoint != job.checkpoint {
      try pin(inputs.pinned.config, inputs.pinned.checkpoint)
    }
    let places = InputStaging.Places(
      config: folder.config, checkpoint: folder.checkpoint, carried: folder.carried, outputs: folder.outputs,
      upload: { [data] id, name in data.upload(id, name) })
    let staged = try staging.stage(inputs, at: places, streams: job.options.stream)
    reporter.moved(staged.fetched, .fetched)
    return staged
  }

  /// The error with the client's file names in place of the server's paths.
  private func withoutPaths(_ error: ConversionError) -> ConversionError {
    error.reworded(
      withoutPaths(error.message),
      diagnostics: error.diagnostics.map { finding in
        var subject = finding.subject
        if case .file(let path) = subject { subject = .file(withoutPaths(path)) }
        return Diagnostic(
          finding.severity, finding.kind, subject, withoutPaths(finding.message), origin: finding.origin)
      },
      cause: error.cause ?? error.message)
  }

  private func withoutPaths(_ text: String) -> String {
    var text = text
    for part in [folder.config, folder.checkpoint, folder.outputs] {
      text = text.replacingOccurrences(of: part.string + "/", with: "")
    }
    return text
  }

  /// Moves an output out of the folder that shards are written into: the outputs of one checkpoint have no folder.
  private func raised(_ path: FilePath) throws(ConversionError) -> FilePath {
    guard let name = path.lastComponent, path.removingLastComponent() != folder.outputs else { return path }
    let target = folder.outputs.appending(name)
    guard access(target.string, F_OK) != 0 else {
      throw ConversionError(.internal, "two outputs are called \(name)", cause: path.string)
    }
    guard rename(path.string, target.string) == 0 else {
      throw ConversionError(.outputFailed, "\(name) cannot be put in its place", cause: "\(Errno(rawValue: errno))")
    }
    // Fails, as it should, until the last file has left.
    rmdir(path.removingLastComponent().string)
    return target
  }

  /// Size and digest of an output. Complexity: reads the file once, 1 MiB at a time.
  private func digest(_ path: FilePath) throws(ConversionError) -> JobOutput {
    var place = path
    guard place.removePrefix(folder.outputs), let name = FileName.output(place.string) else {
      throw ConversionError(.internal, "an output has a name that cannot be served", cause: path.string)
    }
    let file = try InputFile(path: path.string)
    var hash = SHA256()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < file.size {
      if attempt.isCancelled { throw ConversionError(.cancelled, "cancelled") }
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, file.size - offset)])
      try file.read(at: offset, into: piece)
      hash.update(bufferPointer: UnsafeRawBufferPointer(piece))
      offset += piece.count
    }
    return JobOutput(name: name, size: file.size, sha256: hash.finalize().hexadecimal)
  }
}
