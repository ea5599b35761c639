import API
import ArgumentParser
import Core
import Foundation

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

      A model of several components (llava, mmsimple-llava, dragon) is a folder for each in Hugging Face, such as \
      MODEL/image_model and MODEL/text_model: name the folder above them. For hf these folders are written into the output \
      folder; --one-checkpoint writes the one checkpoint of transformers where it has such a class. Components that are \
      elsewhere are named one by one: --component image_model=hub://OWNER/NAME, or a folder.

      Inputs may also be elsewhere: a repository of the model hub, as hub://OWNER/NAME@REVISION or as the URL of its page, \
      which brings its own config; or the http(s) URL of a file. HF_TOKEN opens private repositories, HF_ENDPOINT names \
      another hub; ZOOPORT_ALLOW_PRIVATE_FETCH names hosts and addresses that may be used though they are not public. What \
      is downloaded stays in a cache. Outputs go into --output-dir, or where the command was started.

      Examples:
        zooport convert --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 pytorch_model.bin --config config.json
        zooport convert hub://EleutherAI/gpt-j-6b --model auto --src-fmt hf --tgt-fmt cs-1.8

      Exit status: 0 converted; 2 wrong usage; 3 the config cannot be converted; 4 keys of the checkpoint match no rule; \
      5 an input is unreadable or hostile; 130 or 143 interrupted by SIGINT or SIGTERM; 1 anything else.
      """)

  @Argument(
    help: ArgumentHelp(
      "The checkpoint: a file, a shard index, a folder that holds one, all shards, a URL or hub://OWNER/NAME.",
      valueName: "checkpoint"))
  var checkpoint: [String] = []

  @OptionGroup var components: ComponentOptions

  @Option(
    help: ArgumentHelp(
      "The config that belongs to the checkpoint, or the folder of a config.json or of components. A repository of a hub "
        + "and a folder bring their own."))
  var config: String?

  @OptionGroup var formats: FormatOptions

  @Flag(help: "Leave out keys that no rule matches, instead of failing.")
  var dropUnmatchedKeys = false

  @Flag(
    help: "Convert a checkpoint that is not the whole model of its config; what is missing or spare becomes a warning.")
  var allowIncomplete = false

  @OptionGroup var output: OutputOptions

  @Flag(
    help: ArgumentHelp(
      "Read a checkpoint that is elsewhere in ranges and store nothing of it. So it happens anyway when the disk would "
        + "not hold inputs and outputs."))
  var stream = false

  @Flag(help: "Bring tokenizer and generation files of a repository of a hub to the outputs, unchanged.")
  var carry = false

  @OptionGroup var hub: HubOptions

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
    guard !checkpoint.isEmpty || !components.places.isEmpty else {
      throw ValidationError("Name the checkpoint to convert.")
    }
    try components.check(formats, others: checkpoint + (config.map { [$0] } ?? []))
  }

  func run() throws {
    var options = output.options(target: Format(target: formats.tgtFmt))
    options.dropUnmatchedKeys = dropUnmatchedKeys
    options.allowIncomplete = allowIncomplete
    options.memoryBudget = memoryBudget.bytes
    options.threads = threads
    options.durable = fsync
    options.stream = stream
    var request = ConversionRequest(
      command: .convert, model: formats.model, sourceFormat: formats.srcFmt, targetFormat: formats.tgtFmt,
      config: config ?? "", checkpoint: checkpoint, outputDirectory: formats.outputDir, options: options)
    let session = TerminalSession(showsProgress: !noProgressBar, debug: debug)
    if (checkpoint + [config ?? ""]).contains(where: RemoteInputs.isRemote)
      || components.places.contains(where: \.isRemote)
    {
      try session.convert(
        request, bringing: RemoteInputs(), config: config, components: components.places,
        choices: hub.choices(carries: carry))
    } else {
      try hub.choices(carries: carry).refuse()
      request.components = try components.places.map { try $0.folder(.convert) }
      try session.convert(request.withConfig(config))
    }
  }
}

extension ConversionRequest {
  /// The request with the config that its checkpoint brings, if none was named: that of a folder. Throws `ValidationError`
  /// where there is none.
  func withConfig(_ config: String?) throws -> ConversionRequest {
    guard config == nil, components.isEmpty else { return self }
    var isFolder: ObjCBool = false
    guard checkpoint.count == 1, FileManager.default.fileExists(atPath: checkpoint[0], isDirectory: &isFolder),
      isFolder.boolValue
    else {
      throw ValidationError("--config is missing. Only a repository of a hub or a folder brings its own.")
    }
    var request = self
    request.config = checkpoint[0]
    return request
  }
}

/// `zooport convert-config`: a config alone.
struct ConvertConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert-config",
    abstract: "Convert a config alone, to learn whether a model can be converted before it is trained.",
    discussion: """
      Writes <stem>_to_<tgt-fmt> beside the input, or into --output-dir: .yaml for the Model Zoo, .json for Hugging Face. \
      A model of several components has a folder for each: name the folder above them.

      Example:
        zooport convert-config --model gpt2 --src-fmt cs-1.8 --tgt-fmt hf params.yaml

      Exit status: 0 converted; 2 wrong usage; 3 the config cannot be converted; 5 it cannot be read; 1 anything else.
      """)

  @Argument(
    help: ArgumentHelp("The config to convert: a file, a folder, a URL, or hub://OWNER/NAME.", valueName: "config"))
  var config: String?

  @OptionGroup var components: ComponentOptions

  @OptionGroup var formats: FormatOptions

  @Flag(
    help: "Accepted for the vendor tool's sake; keys of a config without a rule are always left out, with a warning.")
  var dropUnmatchedKeys = false

  @Flag(help: "For hf: write the config of one checkpoint for a model of several components, as `convert` does.")
  var oneCheckpoint = false

  @OptionGroup var hub: HubOptions

  @Flag(help: "Name the rule behind each finding.")
  var debug = false

  func validate() throws {
    guard config != nil || !components.places.isEmpty else { throw ValidationError("Name the config to convert.") }
    try components.check(formats, others: config.map { [$0] } ?? [])
  }

  func run() throws {
    var options = ConversionOptions()
    options.oneCheckpoint = oneCheckpoint
    var request = ConversionRequest(
      command: .convertConfig, model: formats.model, sourceFormat: formats.srcFmt, targetFormat: formats.tgtFmt,
      config: config ?? "", outputDirectory: formats.outputDir, options: options)
    let session = TerminalSession(showsProgress: false, debug: debug)
    if RemoteInputs.isRemote(config ?? "") || components.places.contains(where: \.isRemote) {
      try session.convert(
        request, bringing: RemoteInputs(), config: config, components: components.places, choices: hub.choices())
    } else {
      try hub.choices().refuse()
      request.components = try components.places.map { try $0.folder(.convertConfig) }
      try session.convert(request)
    }
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
