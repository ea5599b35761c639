import API
import ArgumentParser
import Core

/// `zooport diff`: whether two checkpoints hold the same.
struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Compare two checkpoints: keys, dtypes, shapes and values.",
    discussion: """
      The checkpoints may be of different containers, and each may be a file, a shard index or a folder. Order of keys and \
      tuples in the place of lists are no difference. Values are compared bit for bit, or within tolerances: \
      |left - right| <= atol + rtol * |right|, with NaN equal to NaN.

      Examples:
        zooport diff pytorch_model.bin model.safetensors
        zooport diff before_to_hf after_to_hf --rtol 1e-3 --json

      Exit status, as of diff: 0 the same; 1 different; 2 a checkpoint cannot be read, or wrong usage; 130 or 143 \
      interrupted.
      """)

  /// How values are compared, as the vendor's tool names it.
  enum ComparisonOperation: String, CaseIterable, ExpressibleByArgument {
    case equal, allclose
  }

  @Argument(help: "A checkpoint: a file, a shard index or a folder.")
  var left: String

  @Argument(help: "The checkpoint to compare it with.")
  var right: String

  @Option(
    name: [.customLong("tensor_comparison_op"), .customLong("tensor-comparison-op")],
    help: "equal: values are the same bit for bit. allclose: within tolerances. Default: equal, unless one is given.")
  var operation: ComparisonOperation?

  @Option(help: "Tolerance relative to the right value. Default with allclose: 1e-5.")
  var rtol: Double?

  @Option(help: "Absolute tolerance. Default with allclose: 1e-8.")
  var atol: Double?

  @Flag(help: "Print JSON for programs.")
  var json = false

  @Option(help: "Maximum number of differences to show in the table.")
  var limit: Int?

  @Option(help: "Memory for buffers, such as 256MiB. The checkpoints may be any size.")
  var memoryBudget: ByteCount = ByteCount(CheckpointComparison.Options().memoryBudget)

  @Option(help: "Threads that read and compare.")
  var threads: Int = CheckpointComparison.Options().threads

  func validate() throws {
    guard limit ?? 0 >= 0 else { throw ValidationError("--limit takes a number of differences, 0 or more.") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads takes a number from 1 to 256.") }
    guard memoryBudget.bytes >= 1 << 20 else { throw ValidationError("--memory-budget must be at least 1MiB.") }
    guard [rtol, atol].allSatisfy({ $0 == nil || $0?.isFinite == true && $0?.isLess(than: 0) == false }) else {
      throw ValidationError("--rtol and --atol take a number, 0 or more.")
    }
    guard operation != .equal || rtol == nil && atol == nil else {
      throw ValidationError("--rtol and --atol need --tensor_comparison_op allclose.")
    }
  }

  func run() throws {
    TerminalSignal.watch()
    var options = CheckpointComparison.Options()
    options.memoryBudget = memoryBudget.bytes
    options.threads = threads
    if operation == .allclose || rtol != nil || atol != nil {
      let standard = CheckpointComparison.Tolerance()
      options.tolerance = .init(relative: rtol ?? standard.relative, absolute: atol ?? standard.absolute)
    }
    let comparison: CheckpointComparison
    do throws(ConversionError) {
      comparison = try CheckpointComparison(left: left, right: right, options: options) {
        TerminalSignal.signal != nil
      }
    } catch {
      if error.kind == .cancelled, let signal = TerminalSignal.signal {
        StandardError.write("ERROR: interrupted\n")
        throw ExitCode(128 + signal)
      }
      StandardError.write("ERROR: \(error.message)\n")
      throw ExitCode(2)
    }
    if json {
      print(JSONWriter.render(.object(comparison.document)), terminator: "")
    } else {
      print(DifferenceTable(comparison: comparison, limit: limit).text)
    }
    if !comparison.isSame { throw ExitCode(1) }
  }
}

/// A comparison as people read it.
struct DifferenceTable {
  let comparison: CheckpointComparison
  /// Differences that are shown; nil shows all.
  let limit: Int?

  /// The lines, without a final newline.
  var text: String {
    let shared = "Tensors in both: \(comparison.tensors). Other values in both: \(comparison.others)."
    guard !comparison.isSame else { return "The checkpoints are the same. \(shared)" }
    let shown = comparison.differences.prefix(limit ?? comparison.differences.count)
    let rows = shown.map { difference in
      [
        difference.key, difference.left?.summary ?? "-", difference.right?.summary ?? "-",
        difference.kind.description,
      ]
    }
    var lines = rows.isEmpty ? [] : PlanTable.columns([["KEY", "LEFT", "RIGHT", "DIFFERENCE"]] + rows)
    if shown.count < comparison.differences.count {
      lines.append("... and \(comparison.differences.count - shown.count) more")
    }
    let count = comparison.differences.count
    return (lines + ["", "\(count) \(count == 1 ? "entry differs" : "entries differ"). \(shared)"])
      .joined(separator: "\n")
  }
}
