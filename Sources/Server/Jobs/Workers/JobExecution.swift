import API
import Core
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

  /// Fetches and converts. The outputs are complete and synced in `folder.outputs` when it returns.
  ///
  /// `pin` is told the commits that references to a hub stand for, before anything is downloaded.
  func run<Runner: ConversionRunner>(
    _ runner: Runner, pin: (_ config: JobInput, _ checkpoint: [JobInput]) throws -> Void
  ) throws(JobFailure) -> JobResult {
    do {
      return try convert(runner, pin: pin)
    } catch {
      var failure = JobFailure(of: error)
      if failure.fault.code == .diskFull, reservation.isHeldByOthers { failure.remedy = .wait }
      throw failure
    }
  }

  private func convert<Runner: ConversionRunner>(
    _ runner: Runner, pin: (_ config: JobInput, _ checkpoint: [JobInput]) throws -> Void
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
    request.hidesFolders = true
    let prepared = try runner.prepare(request, monitor: attempt)
    if prepared.costs.bytesWritten > 0 { try quota(prepared.costs.bytesWritten) }
    try reservation.reserve(prepared.costs)
    let result = try prepared.execute(WritingMonitor(base: attempt, reservation: reservation))
    // Components have folders, which are part of the names of their files.
    let hasFolders = result.configs.count > 1
    let outputs = try result.files.map { try output($0, keepsFolder: hasFolders) }
    return JobResult(
      outputs: outputs, warnings: staged.warnings + warnings(of: result), progress: attempt.finalProgress)
  }

  /// The warnings as sentences. A job shows as many as people read; its report, which is an output, has them all.
  private func warnings(of result: ConversionResult) -> [String] {
    let shown = result.warnings.prefix(Findings.limitOfConversions).map(\.message)
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

  /// An output as the job names it: without the folder of a checkpoint, but with that of a component.
  private func output(_ file: OutputFile, keepsFolder: Bool) throws(ConversionError) -> JobOutput {
    var place = FilePath(file.path)
    if !keepsFolder { place = try raised(place) }
    guard place.removePrefix(folder.outputs), let name = FileName.output(place.string) else {
      throw ConversionError(.internal, "an output has a name that cannot be served", cause: file.path)
    }
    guard let digest = file.sha256 else {
      throw ConversionError(.internal, "\(name) has no digest")
    }
    return JobOutput(name: name, size: file.size, sha256: digest)
  }
}
