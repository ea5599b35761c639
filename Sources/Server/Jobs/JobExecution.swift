import Core
import Crypto
import Foundation
import SystemPackage

/// One attempt of a job from its inputs to outputs that are ready to be published. Blocks; for worker threads.
struct JobExecution {
  let job: Job
  let attempt: Attempt
  let folder: AttemptFolder
  let data: DataFolder
  let fetcher: Fetcher
  let settings: ConversionSettings
  let space: FreeSpace
  let reporter: JobReporter

  /// What the operator decides about every conversion.
  struct ConversionSettings: Sendable {
    var memoryBudget: Int
    var threads: Int
  }

  /// Fetches, converts and digests. The outputs are complete and synced in `folder.outputs` when it returns.
  func run(_ runner: some ConversionRunner) throws(JobFailure) -> JobResult {
    var fetched = 0
    let config = try stage(job.config, in: folder.config, fetched: &fetched)
    var checkpoint: [String] = []
    for input in job.checkpoint { checkpoint.append(try stage(input, in: folder.checkpoint, fetched: &fetched)) }

    var options = job.options
    options.report = true
    options.memoryBudget = settings.memoryBudget
    options.threads = settings.threads
    let request = ConversionRequest(
      command: job.command, model: job.model, sourceFormat: job.sourceFormat, targetFormat: job.targetFormat,
      config: config, checkpoint: checkpoint, outputDirectory: folder.outputs.string, options: options)
    let result: ConversionResult
    let watch = SpaceWatch(attempt, space: space)
    do {
      result = try runner.run(request, monitor: watch)
    } catch {
      if let shortage = watch.failure { throw JobFailure(shortage) }
      throw JobFailure(withoutPaths(error))
    }

    var progress = attempt.progress
    var outputs: [JobOutput] = []
    do {
      for path in result.files { outputs.append(try digest(try raised(FilePath(path)))) }
    } catch {
      throw JobFailure(error)
    }
    progress.phase = nil
    return JobResult(outputs: outputs, warnings: result.warnings.map { withoutPaths($0.message) }, progress: progress)
  }

  /// Puts an input where the conversion finds it and answers the path.
  private func stage(_ input: JobInput, in target: FilePath, fetched: inout Int) throws(JobFailure) -> String {
    let path = target.appending(input.name.description)
    switch input {
    case .upload(let id, let name):
      let upload = data.upload(id, name)
      guard access(upload.string, R_OK) == 0 else {
        throw JobFailure(
          ConversionError(.unreadableInput, "upload \(id) (\(name)) is gone; send it again", cause: upload.string))
      }
      guard symlink(absolute(upload), path.string) == 0 else {
        let code = errno
        throw stagingFailure(name, "\(path): \(Errno(rawValue: code))", isFull: code == ENOSPC || code == EDQUOT)
      }
    case .inline(let text, let name):
      do {
        try Data(text.utf8).write(to: URL(filePath: path.string))
      } catch {
        let code = (error as? CocoaError)?.code
        throw stagingFailure(name, "\(path): \(error)", isFull: code == .fileWriteOutOfSpace)
      }
    case .url(let url, _):
      let before = fetched
      attempt.reportFetching(done: before, total: before)
      do {
        try fetcher.fetch(url, to: path, isCancelled: { [attempt] in attempt.isCancelled }) { [attempt] done, total in
          attempt.reportFetching(done: before + done, total: before + total)
        }
      } catch {
        throw JobFailure(error)
      }
      fetched = attempt.progress.bytesDone
      reporter.moved(fetched - before, .fetched)
    }
    return path.string
  }

  private func stagingFailure(_ name: FileName, _ cause: String, isFull: Bool) -> JobFailure {
    JobFailure(
      isFull
        ? ConversionError(.diskFull, "no space is left to stage \(name)", cause: cause)
        : ConversionError(.outputFailed, "\(name) cannot be staged", cause: cause))
  }

  /// The error with the client's file names in place of the server's paths.
  private func withoutPaths(_ error: ConversionError) -> ConversionError {
    ConversionError(
      error.kind, withoutPaths(error.message),
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

  private func absolute(_ path: FilePath) -> String {
    path.isAbsolute
      ? path.string : FilePath(FileManager.default.currentDirectoryPath).appending(path.components).string
  }

  /// Moves an output out of the folder that shards are written into: the outputs of a job have names, no folders.
  private func raised(_ path: FilePath) throws(ConversionError) -> FilePath {
    guard let name = path.lastComponent, path.removingLastComponent() != folder.outputs else { return path }
    let target = folder.outputs.appending(name)
    guard rename(path.string, target.string) == 0 else {
      throw ConversionError(.outputFailed, "\(name) cannot be put in its place", cause: "\(Errno(rawValue: errno))")
    }
    // Fails, as it should, until the last file has left.
    rmdir(path.removingLastComponent().string)
    return target
  }

  /// Size and digest of an output. Complexity: reads the file once, 1 MiB at a time.
  private func digest(_ path: FilePath) throws(ConversionError) -> JobOutput {
    guard let name = path.lastComponent.flatMap({ FileName($0.string) }) else {
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
