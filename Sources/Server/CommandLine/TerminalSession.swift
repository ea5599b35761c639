import API
import ArgumentParser
import Core
import Foundation
import Glibc
import Inputs
import Jobs
import Synchronization
import SystemPackage

/// Runs a conversion for somebody at a terminal or in a script: paths to standard output, everything else to standard error.
struct TerminalSession {
  let showsProgress: Bool
  let debug: Bool

  /// Runs a request. Throws `ExitCode` with the status of the contract after saying what went wrong.
  func convert(_ request: ConversionRequest) throws {
    TerminalSignal.watch()
    let bar = bar
    do throws(ConversionError) {
      let monitor = TerminalMonitor(bar: bar)
      try execute(Conversion.prepare(request, monitor: monitor), monitor, bar)
    } catch {
      bar?.clear()
      throw fail(error)
    }
  }

  /// Runs a request whose inputs are elsewhere, or some of them. Throws as the other function does.
  func convert(
    _ request: ConversionRequest, bringing inputs: RemoteInputs, config: String?, components: [ComponentPlace] = [],
    choices: HubChoices
  ) throws {
    TerminalSignal.watch()
    let bar = bar
    let found = try inputs.references(request, config: config, components: components, choices: choices)
    let output = request.outputDirectory ?? "."
    let work = FilePath(NSTemporaryDirectory()).appending("zooport-\(Identifier.generate())")
    defer { try? FileManager.default.removeItem(atPath: work.string) }
    let folder = AttemptFolder(root: work)
    let space = FreeSpace(path: FilePath(output), floor: inputs.diskFloor)
    let reservation = DiskReservation(space)
    do throws(ConversionError) {
      let staged = try bring(found, streams: request.options.stream, into: folder, FilePath(output), inputs, bar)
      var request = request
      staged.hand(to: &request)
      request.outputDirectory = output
      request.companions = staged.carried
      let monitor = WritingMonitor(base: TerminalMonitor(bar: bar), reservation: reservation)
      let prepared = try Conversion.prepare(request, monitor: monitor)
      try reservation.reserve(prepared.costs)
      try execute(prepared, monitor, bar, warnings: staged.warnings)
      withExtendedLifetime(staged) {}
    } catch {
      bar?.clear()
      throw fail(error)
    }
  }

  private func bring(
    _ found: RemoteInputs.References, streams: Bool, into folder: AttemptFolder, _ output: FilePath,
    _ inputs: RemoteInputs, _ bar: ProgressBar?
  ) throws(ConversionError) -> InputStaging.Staged {
    do {
      for part in [folder.config, folder.checkpoint, folder.carried] {
        try FileManager.default.createDirectory(atPath: part.string, withIntermediateDirectories: true)
      }
      let staging = inputs.staging { done, total in
        var progress = ConversionProgress(phase: .fetching)
        (progress.bytesDone, progress.bytesTotal) = (done, total)
        bar?.show(progress)
      }
      let resolved = try staging.resolver.resolve(config: found.config, checkpoint: found.checkpoint)
      let places = InputStaging.Places(
        config: folder.config, checkpoint: folder.checkpoint, carried: folder.carried, outputs: output,
        upload: { id, name in found.paths[id] ?? FilePath(name.description) }, leavesUploads: true)
      return try staging.stage(resolved, at: places, streams: streams)
    } catch let failure as TransferFailure {
      throw failure.error
    } catch {
      throw ConversionError(.outputFailed, "the temporary folder cannot be used", cause: "\(error)")
    }
  }

  /// Executes a conversion and says what came of it.
  private func execute(
    _ prepared: PreparedConversion, _ monitor: some ConversionMonitor, _ bar: ProgressBar?, warnings: [String] = []
  ) throws(ConversionError) {
    let start = ContinuousClock.now
    let result = try prepared.execute(monitor)
    bar?.clear()
    for warning in warnings { say("WARNING: \(warning)") }
    say(result)
    if showsProgress { say(ProgressBar.summary(result, in: .now - start)) }
  }

  private var bar: ProgressBar? { showsProgress && isatty(STDERR_FILENO) == 1 ? ProgressBar() : nil }

  private func say(_ result: ConversionResult) {
    for line in DiagnosticSummary(result.warnings, namesRules: debug).lines { say("WARNING: \(line.text)") }
    for checkpoint in result.checkpoints { print("Checkpoint saved to \(checkpoint)") }
    for config in result.configs { print("Config saved to \(config)") }
  }

  /// Says what went wrong and answers the exit status.
  func fail(_ error: ConversionError) -> ExitCode {
    if error.kind == .cancelled, let signal = TerminalSignal.signal {
      say("ERROR: interrupted; no output is left")
      return ExitCode(128 + signal)
    }
    // The cause first: what is found beside it may be long.
    say("ERROR: \(error.message)")
    let found = error.diagnostics.filter { $0.severity == .warning || $0.isUnmatchedKey }
    for line in DiagnosticSummary(found, namesRules: debug).lines { say("WARNING: \(line.text)") }
    if debug {
      for finding in error.diagnostics { say("  \(text(finding))") }
      if let cause = error.cause { say("  \(cause)") }
    }
    return ExitCode(error.kind.exitStatus)
  }

  private func text(_ finding: Diagnostic) -> String { debug ? finding.description : finding.message }

  private func say(_ line: String) { StandardError.write(line + "\n") }
}

/// Standard error, unbuffered.
enum StandardError {
  static func write(_ text: String) {
    var text = text
    // Nobody can be told when standard error takes nothing.
    text.withUTF8 { bytes in _ = try? FileDescriptor.standardError.writeAll(bytes) }
  }

  /// Removes what a progress bar may have left on the line. Nothing happens where there is no terminal, such as in a log.
  static func clearLine() {
    if isatty(STDERR_FILENO) == 1 { write("\r\u{1B}[2K") }
  }
}

private struct TerminalMonitor: ConversionMonitor {
  let bar: ProgressBar?

  var isCancelled: Bool { TerminalSignal.signal != nil }
  func report(_ progress: ConversionProgress) { bar?.show(progress) }
}
