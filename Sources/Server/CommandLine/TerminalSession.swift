import ArgumentParser
import Core
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Runs a conversion for somebody at a terminal or in a script: paths to standard output, everything else to standard error.
struct TerminalSession {
  let showsProgress: Bool
  let debug: Bool

  /// Runs a request. Throws `ExitCode` with the status of the contract after saying what went wrong.
  func convert(_ request: ConversionRequest) throws {
    let bar = showsProgress && isatty(STDERR_FILENO) == 1 ? ProgressBar() : nil
    let result: ConversionResult
    do throws(ConversionError) {
      result = try Conversion.run(request, monitor: TerminalMonitor(bar: bar))
    } catch {
      bar?.clear()
      for finding in error.diagnostics where finding.severity == .warning || error.kind == .keysUnmatched {
        say("WARNING: \(text(finding))")
      }
      say("ERROR: \(error.message)")
      if debug {
        for finding in error.diagnostics { say("  \(text(finding))") }
        if let cause = error.cause { say("  \(cause)") }
      }
      throw ExitCode(error.kind.exitStatus)
    }
    bar?.clear()
    for finding in result.warnings { say("WARNING: \(text(finding))") }
    if let checkpoint = result.checkpoint { print("Checkpoint saved to \(checkpoint)") }
    print("Config saved to \(result.config)")
  }

  private func text(_ finding: Diagnostic) -> String { debug ? finding.description : finding.message }

  private func say(_ line: String) { StandardError.write(line + "\n") }
}

/// Standard error, unbuffered.
enum StandardError {
  static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
  }
}

private struct TerminalMonitor: ConversionMonitor {
  let bar: ProgressBar?

  var isCancelled: Bool { false }
  func report(_ progress: ConversionProgress) { bar?.show(progress) }
}
