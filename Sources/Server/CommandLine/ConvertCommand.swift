import ArgumentParser
import Core

/// `zooport convert`: a checkpoint and its config.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert a checkpoint and its config.",
    discussion: """
      Writes <stem>_to_<tgt-fmt> beside each input, or into --output-dir: .mdl and .yaml for the Model Zoo, .bin (or \
      .safetensors) and .json for Hugging Face. The result paths go to standard output; warnings, progress and errors go to standard error. On any \
      failure no output file is left.

      The input may be a PyTorch file (.bin, .pt, .mdl) or a safetensors file; its content decides, not its name. Nothing \
      in it is executed. Shards are joined: name their *.index.json, the folder they are in, or each of them.

      Example:
        zooport convert --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 pytorch_model.bin --config config.json

      Exit status: 0 converted; 2 wrong usage; 3 the config cannot be converted; 4 keys of the checkpoint match no rule; \
      5 an input is unreadable or hostile; 1 anything else.
      """)

  @Argument(
    help: ArgumentHelp(
      "The checkpoint: a file, a shard index, a folder that holds one, or all shards.", valueName: "checkpoint"))
  var checkpoint: [String]

  @Option(help: "The config that belongs to the checkpoint.")
  var config: String

  @OptionGroup var formats: FormatOptions

  @Flag(help: "Leave out keys that no rule matches, instead of failing.")
  var dropUnmatchedKeys = false

  @OptionGroup var output: OutputOptions

  @Option(help: "Memory for buffers, such as 256MiB. The checkpoint may be any size.")
  var memoryBudget: ByteCount = ByteCount(ConversionOptions().memoryBudget)

  @Option(help: "Threads that compute and write.")
  var threads: Int = ConversionOptions().threads

  @Flag(help: "Wait until the outputs are on the disk. Without it they are left to the kernel, as by cp.")
  var fsync = false

  @Flag(help: "Show no progress bar. There is none unless standard error is a terminal.")
  var noProgressBar = false

  @Flag(help: "Name the rule behind each finding.")
  var debug = false

  func validate() throws {
    guard (1...256).contains(threads) else { throw ValidationError("--threads takes a number from 1 to 256.") }
    guard memoryBudget.bytes >= 1 << 20 else { throw ValidationError("--memory-budget must be at least 1MiB.") }
    guard !checkpoint.isEmpty else { throw ValidationError("Name the checkpoint to convert.") }
  }

  func run() throws {
    var options = output.options(target: Format(formats.tgtFmt))
    options.dropUnmatchedKeys = dropUnmatchedKeys
    options.memoryBudget = memoryBudget.bytes
    options.threads = threads
    options.durable = fsync
    let request = ConversionRequest(
      command: .convert, model: formats.model, sourceFormat: formats.srcFmt, targetFormat: formats.tgtFmt,
      config: config, checkpoint: checkpoint, outputDirectory: formats.outputDir, options: options)
    try TerminalSession(showsProgress: !noProgressBar, debug: debug).convert(request)
  }
}

/// `zooport convert-config`: a config alone.
struct ConvertConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert-config",
    abstract: "Convert a config alone, to learn whether a model can be converted before it is trained.",
    discussion: """
      Writes <stem>_to_<tgt-fmt> beside the input, or into --output-dir: .yaml for the Model Zoo, .json for Hugging Face.

      Example:
        zooport convert-config --model gpt2 --src-fmt cs-1.8 --tgt-fmt hf params.yaml

      Exit status: 0 converted; 2 wrong usage; 3 the config cannot be converted; 5 it cannot be read; 1 anything else.
      """)

  @Argument(help: ArgumentHelp("The config to convert.", valueName: "config"))
  var config: String

  @OptionGroup var formats: FormatOptions

  @Flag(
    help: "Accepted for the vendor tool's sake; keys of a config without a rule are always left out, with a warning.")
  var dropUnmatchedKeys = false

  @Flag(help: "Name the rule behind each finding.")
  var debug = false

  func run() throws {
    let request = ConversionRequest(
      command: .convertConfig, model: formats.model, sourceFormat: formats.srcFmt, targetFormat: formats.tgtFmt,
      config: config, outputDirectory: formats.outputDir)
    try TerminalSession(showsProgress: false, debug: debug).convert(request)
  }
}

/// The flags that both conversions share, spelt as in the vendor's tool.
struct FormatOptions: ParsableArguments {
  @Option(help: "The model; `zooport list` shows them. `auto` finds it out.")
  var model: String

  @Option(help: "The format of the input: hf, a release such as cs-1.8, or `auto`.")
  var srcFmt: String

  @Option(help: "The format of the output: hf or a release such as cs-1.8.")
  var tgtFmt: String

  @Option(help: "The folder for the outputs; created if missing.")
  var outputDir: String?
}
