import API
import ArgumentParser
import Core
import Foundation
import Inputs
import SystemPackage

/// `zooport plan`: what a conversion would do.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show what a conversion would do and cost, from headers alone.",
    discussion: """
      Takes what `convert` takes and writes nothing. A checkpoint that is elsewhere, in a repository of the model hub or \
      behind a URL, is not downloaded: its headers are read in ranges, some hundred kilobytes for a model of 100 GB.

      Examples:
        zooport plan hub://EleutherAI/gpt-j-6b --model auto --src-fmt hf --tgt-fmt cs-1.8
        zooport plan --config config.json --model gpt2 --src-fmt hf --tgt-fmt cs-2.9
        zooport plan pytorch_model.bin --config config.json --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 --json

      Exit status: 0 it can be converted; otherwise that of `convert`, with the plan on standard output all the same.
      """)

  @Argument(
    help: ArgumentHelp(
      "The checkpoint, as for convert. Without one the plan is for the checkpoint that the config describes.",
      valueName: "checkpoint"))
  var checkpoint: [String] = []

  @OptionGroup var components: ComponentOptions

  @Option(help: "The config that belongs to the checkpoint. A repository of a hub brings its own.")
  var config: String?

  @OptionGroup var formats: FormatOptions

  @Flag(help: "Leave out keys that no rule matches, instead of failing.")
  var dropUnmatchedKeys = false

  @Flag(
    help: "Convert a checkpoint that is not the whole model of its config; what is missing or spare becomes a warning.")
  var allowIncomplete = false

  @OptionGroup var output: OutputOptions

  @OptionGroup var hub: HubOptions

  @Flag(help: "Print the plan as JSON.")
  var json = false

  @Option(help: "Show only so many tensors in the table.")
  var limit: Int?

  @Flag(help: "Name the rule behind each finding.")
  var debug = false

  func validate() throws {
    guard !checkpoint.isEmpty || config != nil || !components.places.isEmpty else {
      throw ValidationError("Name the checkpoint to plan for, or a config with --config.")
    }
    try components.check(formats, others: checkpoint + (config.map { [$0] } ?? []))
    guard limit ?? 0 >= 0 else { throw ValidationError("--limit takes a number of tensors, 0 or more.") }
  }

  func run() throws {
    var options = output.options(target: Format(target: formats.tgtFmt))
    options.dropUnmatchedKeys = dropUnmatchedKeys
    options.allowIncomplete = allowIncomplete
    var request = ConversionRequest(
      command: .convert, model: formats.model, sourceFormat: formats.srcFmt, targetFormat: formats.tgtFmt,
      config: config ?? "", checkpoint: checkpoint, options: options)
    let session = TerminalSession(showsProgress: false, debug: debug)
    let report: PlanReport
    let document: ConfigObject
    var spent = ""
    if (checkpoint + [config ?? ""]).contains(where: RemoteInputs.isRemote)
      || components.places.contains(where: \.isRemote)
    {
      let inputs = try RemoteInputs()
      let found = try inputs.references(
        request, config: config, components: components.places, choices: hub.choices())
      let outcome: Planning.Outcome
      do throws(ConversionError) {
        outcome = try Planning(staging: inputs.staging { _, _ in }, leavesUploads: true).plan(
          request, config: found.config, checkpoint: found.checkpoint
        ) { id, name in
          found.paths[id] ?? FilePath(name.description)
        }
      } catch {
        throw session.fail(error)
      }
      (report, document) = (outcome.report, outcome.document)
      spent = "Fetched \(PlanTable.amount(outcome.fetched)) in \(outcome.time)"
    } else {
      try hub.choices().refuse()
      request.components = try components.places.map { try $0.folder(.convert) }
      request = try request.withConfig(config)
      do throws(ConversionError) { report = try PlanReport(request) } catch { throw session.fail(error) }
      document = report.document
    }
    if json {
      print(JSONWriter.render(.object(document)), terminator: "")
    } else {
      print(PlanTable(report: report, limit: limit, debug: debug).text)
      if !spent.isEmpty { StandardError.write(spent + "\n") }
    }
    if let error = report.error { throw ExitCode(error.kind.exitStatus) }
  }
}

/// A plan as people read it.
struct PlanTable {
  let report: PlanReport
  /// Tensors that are shown; nil shows all.
  let limit: Int?
  /// Names the rule behind each finding.
  let debug: Bool

  /// The lines, without a final newline.
  var text: String {
    var lines: [String] = []
    let way =
      report.hops.isEmpty ? "\(report.sourceFormat) -> \(report.targetFormat)" : report.hops.joined(separator: " -> ")
    lines.append("\(report.error == nil ? "Convertible" : "Not convertible"): \(report.model), \(way)")
    if let container = report.container { lines.append("Container: \(container.rawValue)") }
    for line in DiagnosticSummary(report.diagnostics, namesRules: debug).lines {
      lines.append("\(line.severity == .error ? "ERROR" : "WARNING"): \(line.text)")
    }
    guard report.error == nil else { return lines.joined(separator: "\n") }
    lines.append("")
    let shown = report.tensors.prefix(limit ?? report.tensors.count)
    let rows = shown.map { tensor in
      [
        tensor.key, tensor.dtype.rawValue, "[\(tensor.shape.map(String.init).joined(separator: ", "))]",
        tensor.transform, tensor.sources.joined(separator: " "),
      ]
    }
    lines += Self.columns([["TENSOR", "DTYPE", "SHAPE", "TRANSFORM", "SOURCES"]] + rows)
    if shown.count < report.tensors.count { lines.append("... and \(report.tensors.count - shown.count) more") }
    let totals = report.totals
    lines.append("")
    lines += Self.columns([
      ["Read", Self.amount(totals.bytesIn), "in \(totals.tensorsIn) tensors, \(totals.parameters) elements"],
      ["Written", Self.amount(totals.bytesOut), "in \(totals.tensorsOut) tensors"],
      ["To download", Self.amount(totals.bytesToDownload), ""],
      ["Disk needed", Self.amount(totals.diskNeeded), ""],
      ["Peak memory", Self.amount(totals.peakMemory), "about"],
    ])
    return lines.joined(separator: "\n")
  }

  /// Lines of columns that are as wide as their widest cell.
  static func columns(_ rows: [[String]]) -> [String] {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (text, width) in zip(row, widths) { line += text + String(repeating: " ", count: width - text.count + 2) }
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  /// Bytes with a decimal unit.
  static func amount(_ bytes: Int) -> String {
    for (unit, factor) in [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] where Double(bytes) >= factor {
      let hundredths = Int((Double(bytes) / factor * 100).rounded())
      return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) \(unit)"
    }
    return "\(bytes) B"
  }
}
