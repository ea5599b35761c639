import APIClient
import ArgumentParser
import Core
import Foundation
import HTTPTypes

/// `zooport submit`: a conversion on a server.
struct SubmitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit",
    abstract: "Convert on a server: send the files, submit a job.",
    discussion: """
      Takes the arguments of `convert` (or, as `submit convert-config`, of `convert-config`). Local files are uploaded; an \
      interrupted upload goes on when the command is run again. http(s) addresses and repositories of a model hub \
      (hub://OWNER/NAME@REVISION, or the URL of a page) are handed on for the server to fetch; a repository brings its own \
      config, and so does the folder above those of the components of a model; --component names them one by one. Prints the id of the job; --wait follows \
      it to its end, --output-dir also downloads its outputs.

      Examples:
        zooport submit --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 pytorch_model.bin --config config.json --output-dir out
        zooport submit hub://EleutherAI/gpt-j-6b --model auto --src-fmt hf --tgt-fmt cs-1.8 --carry --output-dir out
      """,
    subcommands: [SubmitConvertCommand.self, SubmitConvertConfigCommand.self],
    defaultSubcommand: SubmitConvertCommand.self)
}

/// What both kinds of submission share.
struct SubmissionOptions: ParsableArguments {
  @Flag(help: "Follow the job to its end; the exit status is that of `convert`.")
  var wait = false

  @Option(help: "The same as --output-dir.")
  var download: String?

  @Flag(
    help: ArgumentHelp(
      "Send the token of the variable HF_TOKEN along, for repositories of the hub that are not open. The server keeps it "
        + "sealed, for this job alone. Without the flag the variable is not looked at."))
  var hubToken = false

  @Flag(help: "Run the job though an equal one has outputs.")
  var noReuse = false

  @OptionGroup var webhook: WebhookOptions

  @Flag(help: "Show no progress bar. There is none unless standard error is a terminal.")
  var noProgressBar = false

  /// The token of the hub, if it was asked for. Throws `ClientFailure` when there is none.
  func hubTokenText() throws -> String? {
    guard hubToken else { return nil }
    let text = ProcessInfo.processInfo.environment["HF_TOKEN"]?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    guard !text.isEmpty else {
      throw ClientFailure("--hub-token sends what the variable HF_TOKEN holds, and it is not set", exitStatus: 2)
    }
    return text
  }
}

/// `zooport submit convert`.
struct SubmitConvertCommand: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Convert a checkpoint and its config.")

  @Argument(
    help: ArgumentHelp(
      "The checkpoint: a file, a shard index, a folder that holds one, all shards, addresses or hub://OWNER/NAME.",
      valueName: "checkpoint"))
  var checkpoint: [String] = []

  @OptionGroup var components: ComponentOptions

  @Option(
    help: "The config that belongs to the checkpoint: a file or an address. A repository of a hub brings its own.")
  var config: String?

  @OptionGroup var formats: FormatOptions

  @Flag(help: "Leave out keys that no rule matches, instead of failing.")
  var dropUnmatchedKeys = false

  @Flag(
    help: "Convert a checkpoint that is not the whole model of its config; what is missing or spare becomes a warning.")
  var allowIncomplete = false

  @OptionGroup var output: OutputOptions

  @Flag(help: "Have the server read a checkpoint that is elsewhere in ranges and store nothing of it.")
  var stream = false

  @Flag(help: "Bring tokenizer and generation files of a repository of a hub to the outputs, unchanged.")
  var carry = false

  @OptionGroup var hub: HubOptions
  @OptionGroup var submission: SubmissionOptions
  @OptionGroup var server: ClientOptions

  func validate() throws {
    guard !checkpoint.isEmpty || !components.places.isEmpty else {
      throw ValidationError("Name the checkpoint to convert.")
    }
    try components.check(formats, others: checkpoint + (config.map { [$0] } ?? []))
  }

  func run(_ client: ServiceClient) throws {
    var options = output.options(target: Format(target: formats.tgtFmt))
    options.dropUnmatchedKeys = dropUnmatchedKeys
    options.allowIncomplete = allowIncomplete
    options.stream = stream
    try Submission(
      command: .convert, formats: formats, config: config, checkpoint: checkpoint, places: components.places,
      options: options,
      choices: submission, hub: hub.choices(carries: carry)
    ).run(client)
  }
}

/// `zooport submit convert-config`.
struct SubmitConvertConfigCommand: ClientCommand {
  static let configuration = CommandConfiguration(commandName: "convert-config", abstract: "Convert a config alone.")

  @Argument(help: ArgumentHelp("The config to convert: a file, an address or hub://OWNER/NAME.", valueName: "config"))
  var config: String?

  @OptionGroup var components: ComponentOptions

  @OptionGroup var formats: FormatOptions

  @Flag(
    help: "Accepted for the vendor tool's sake; keys of a config without a rule are always left out, with a warning.")
  var dropUnmatchedKeys = false

  @OptionGroup var hub: HubOptions
  @OptionGroup var submission: SubmissionOptions
  @OptionGroup var server: ClientOptions

  func validate() throws {
    guard config != nil || !components.places.isEmpty else { throw ValidationError("Name the config to convert.") }
    try components.check(formats, others: config.map { [$0] } ?? [])
  }

  func run(_ client: ServiceClient) throws {
    try Submission(
      command: .convertConfig, formats: formats, config: config, checkpoint: [], places: components.places,
      options: ConversionOptions(),
      choices: submission, hub: hub.choices()
    ).run(client)
  }
}
