import ArgumentParser
import Inputs

/// Which files of a repository of a hub are meant: the flags for what `{"hub": ...}` has over REST.
struct HubOptions: ParsableArguments {
  @Option(help: "Of a repository of a hub: the folder of config and checkpoint.")
  var subfolder: String?

  @Option(help: "Of a repository of a hub: a variant such as fp16, which takes model.fp16.safetensors.")
  var variant: String?

  @Option(
    name: .customLong("file"),
    help: ArgumentHelp(
      "Of a repository of a hub: a path in it, instead of choosing by what is there. May be repeated: a config, and the "
        + "files of a checkpoint.",
      valueName: "path"))
  var files: [String] = []

  /// The choices, with the files that belong to a model beside config and checkpoint if it `carries` them.
  func choices(carries: Bool = false) -> HubChoices {
    HubChoices(subfolder: subfolder, variant: variant, files: files.isEmpty ? nil : files, carry: carries)
  }
}

/// What was said on a command line of a repository of a hub beside its name.
struct HubChoices {
  var subfolder: String?
  var variant: String?
  var files: [String]?
  /// Tokenizer and generation files come with the outputs.
  var carry = false

  /// The flags that were used.
  private var flags: [String] {
    [
      carry ? "--carry" : nil, subfolder.map { _ in "--subfolder" }, variant.map { _ in "--variant" },
      files.map { _ in "--file" },
    ].compactMap { $0 }
  }

  /// True when something was said.
  var isMade: Bool { !flags.isEmpty }

  /// The reference with these choices. Throws when one of them cannot be meant.
  func narrow(_ reference: HubReference) throws(HubReference.Refused) -> HubReference {
    try reference.narrowed(subfolder: subfolder, variant: variant, files: files)
  }

  /// What is wrong where no input is a repository; nil when nothing was said.
  var problem: String? {
    guard isMade else { return nil }
    let verb = flags.count == 1 ? "is" : "are"
    return "\(flags.joined(separator: ", ")) \(verb) for a repository of a hub; name one as an input."
  }

  /// Throws `ValidationError` if something was said. For inputs none of which is a repository.
  func refuse() throws {
    if let problem { throw ValidationError(problem) }
  }
}
