import ArgumentParser
import Core

/// `zooport inspect`: what a checkpoint holds.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a checkpoint holds: keys, dtypes, shapes and other values.",
    discussion: """
      Reads headers only and executes nothing, whatever the file claims to be. Each line has the key, then dtype and shape of \
      a tensor or the value of anything else.
      """)

  @Argument(help: "A PyTorch, safetensors or Cerebras HDF5 checkpoint.")
  var checkpoint: String

  @Option(help: "Show only so many entries.")
  var limit: Int?

  func validate() throws {
    guard limit ?? 0 >= 0 else { throw ValidationError("--limit takes a number of entries, 0 or more.") }
  }

  func run() throws {
    do throws(ConversionError) {
      let source = try Checkpoint.open(path: checkpoint)
      var lines: [(key: String, value: String)] = []
      source.tree.forEachLeaf { lines.append(($0, $1.summary)) }
      let shown = lines.prefix(limit ?? lines.count)
      let width = shown.map(\.key.count).max() ?? 0
      for line in shown {
        print(line.key + String(repeating: " ", count: width - line.key.count + 2) + line.value)
      }
      if shown.count < lines.count { print("... and \(lines.count - shown.count) more") }
    } catch {
      StandardError.write("ERROR: \(error.message)\n")
      throw ExitCode(error.kind.exitStatus)
    }
  }
}
