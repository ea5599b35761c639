import Core
import Crypto
import Foundation

/// A submission being read: fields as they came, then one check that names everything that is wrong.
///
/// JSON and multipart bodies both end up here.
struct JobSubmission: Sendable {
  /// A config or a checkpoint file that is not checked yet.
  enum Input: Sendable {
    /// A file of this very request.
    case received(Upload)
    /// A JSON value: `{"upload": ...}`, `{"url": ...}`, `{"hub": ...}` or `{"inline": ...}`, and its text.
    case json(JSONTree, text: Substring)
  }

  /// Plain fields by name.
  var fields: [String: JSONTree] = [:]
  var config: [Input] = []
  var checkpoint: [Input] = []
  private(set) var findings = Findings()
  /// Bytes of all uploads that `job` resolved.
  private(set) var uploadBytes = 0
  /// The config is that of the repository that the checkpoint is from.
  private var impliesConfig = false
  /// An equal job's outputs will do. Set by `job`.
  private(set) var reuses = true
  private var content = SHA256()
  /// Digests of the inputs in order; nil for a download.
  private var inputDigests: [(name: FileName, sha256: String)?] = []

  /// Bytes of an inline config. It is kept in the database until the job has ended.
  static let inlineLimit = 1 << 20
  /// Files and references of one checkpoint; as many as a form may have parts.
  static let checkpointLimit = MultipartParser.partLimit

  /// The plain fields.
  static let plainFields: Set = ["command", "model", "src_fmt", "tgt_fmt", "options", "reuse", "webhook"]

  init() {}

  /// Reads a JSON body.
  init(json data: Data) throws {
    guard case .object(let members) = try JSONTree.parse(data) else {
      throw Problem.malformed("the body must be a JSON object")
    }
    content.update(data: data)
    let text = String(decoding: data, as: UTF8.self)[...]
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      switch name {
      case "config", "checkpoint":
        add(value, text: JSONSlices.member(name, of: text) ?? "", to: name)
      default:
        add(value, field: name)
      }
    }
  }

  /// The digest of what was submitted, for idempotency.
  var digest: String { content.finalize().hexadecimal }

  /// Counts a part of a multipart body into the digest: a field with its text, a file with its name and digest.
  mutating func record(_ parts: String...) {
    for part in parts { content.update(data: Data("\(part.utf8.count):\(part)".utf8)) }
  }

  /// Adds a plain field.
  mutating func add(_ value: JSONTree, field name: String) {
    if !Self.plainFields.contains(name) {
      findings.append(.init(field: name, "there is no field \(name)"))
    } else if fields.updateValue(value, forKey: name) != nil {
      findings.append(.init(field: name, "\(name) is given twice"))
    }
  }

  /// Adds an input given as JSON; a checkpoint may be an array of inputs.
  mutating func add(_ value: JSONTree, text: Substring, to field: String) {
    if case .null = value { return }
    if field == "config" {
      config.append(.json(value, text: text))
      return
    }
    let items = if case .array(let items) = value { items } else { [value] }
    if items.isEmpty { findings.append(.init(field: field, "the list of inputs of a checkpoint is empty")) }
    guard checkpoint.count + items.count <= Self.checkpointLimit else {
      findings.append(.init(field: field, "a checkpoint may have at most \(Self.checkpointLimit) inputs"))
      return
    }
    // Checkpoints have no inline form, so their text is not needed.
    checkpoint += items.map { .json($0, text: "") }
  }

  /// Adds a file of this request.
  mutating func add(_ upload: Upload, to field: String) {
    if field == "config" {
      config.append(.received(upload))
    } else {
      checkpoint.append(.received(upload))
    }
  }

  /// Checks everything and makes the job. Throws `Problem` 422 with one finding for each fault.
  ///
  /// An upload that `principal` may not see does not exist for the job either.
  mutating func job(
    models: ModelDirectory, uploads: any UploadStore, hub: HubSubmissions, for principal: Principal
  ) async throws -> Job {
    let commandText = string("command", default: "convert")
    let command = ConversionRequest.Command(rawValue: commandText)
    if command == nil, !commandText.isEmpty {
      let names = ConversionRequest.Command.allCases.map(\.rawValue).joined(separator: " or ")
      findings.append(.init(field: "command", "command must be \(names)"))
    }
    let model = string("model")
    let source = string("src_fmt")
    let target = string("tgt_fmt")
    if !model.isEmpty, !source.isEmpty, !target.isEmpty {
      findings += Findings(models.findings(model: model, source: source, target: target))
    }
    let reader = OptionsReader(fields["options"], command: command, target: Format(target: target))
    findings += reader.findings
    reuses = flag("reuse", default: true)
    let webhook = WebhookReader(fields["webhook"], vault: hub.vault)
    findings += webhook.findings

    if config.isEmpty, checkpoint.count == 1, hub.isReference(checkpoint[0]) {
      // The config of a repository comes with its checkpoint.
      config = checkpoint
      impliesConfig = true
    }
    if config.count != 1 {
      findings.append(.init(field: "config", config.isEmpty ? "config is missing" : "there may be one config only"))
    }
    if command == .convert, checkpoint.isEmpty {
      findings.append(.init(field: "checkpoint", "checkpoint is missing"))
    }
    if command == .convertConfig, !checkpoint.isEmpty {
      findings.append(.init(field: "checkpoint", "convert-config takes no checkpoint"))
    }
    var configInput: JobInput?
    for input in config.prefix(1) {
      let others = findings
      configInput = try await resolve(
        input, field: "config", source: source, uploads: uploads, hub: hub, for: principal)
      // What is wrong with a reference that serves for both is said of the checkpoint.
      if impliesConfig { findings = others }
    }
    var checkpointInputs: [JobInput] = []
    for (index, input) in checkpoint.enumerated() {
      let field = checkpoint.count == 1 ? "checkpoint" : "checkpoint[\(index)]"
      if let input = try await resolve(
        input, field: field, source: source, uploads: uploads, hub: hub, for: principal)
      {
        checkpointInputs.append(input)
      }
    }
    let names = checkpointInputs.map(\.name)
    if Set(names).count != names.count {
      findings.append(.init(field: "checkpoint", "two checkpoint files have the same name"))
    }
    guard findings.isEmpty, let command, let configInput else { throw Problem.invalid(findings) }
    var job = Job(
      id: .generate(), command: command, model: model, sourceFormat: source, targetFormat: target,
      config: configInput, checkpoint: checkpointInputs, options: reader.options, createdAt: .now,
      ownership: principal.ownership, webhook: webhook.webhook)
    // A download, be it of a config, may hang for as long as its server likes: it is no small job.
    if job.inputs.allSatisfy(\.isLocal) { job.inputBytes = uploadBytes }
    let digests = inputDigests.compactMap { $0 }
    if digests.count == inputDigests.count {
      var fingerprint = try JobFingerprint(
        program: ProgramDigest.current, command: command, model: models.listing(named: model)?.name ?? model,
        source: source, target: target, options: reader.options)
      for input in digests { fingerprint.add(input.name, sha256: input.sha256) }
      job.fingerprint = fingerprint.value
    }
    return job
  }

  /// A field that is true or false; text in a multipart body.
  private mutating func flag(_ name: String, default standard: Bool) -> Bool {
    switch fields[name] {
    case nil: return standard
    case .bool(let flag): return flag
    case .string("true"): return true
    case .string("false"): return false
    default:
      findings.append(.init(field: name, "\(name) must be true or false"))
      return standard
    }
  }

  /// A required string; empty when a finding was recorded.
  private mutating func string(_ name: String, default standard: String? = nil) -> String {
    switch fields[name] {
    case .string(let text) where !text.isEmpty && text.utf8.count <= 200: return text
    case nil where standard != nil: return standard ?? ""
    case nil: findings.append(.init(field: name, "\(name) is missing"))
    default: findings.append(.init(field: name, "\(name) must be a string of 1 to 200 bytes"))
    }
    return ""
  }

  /// Checks one input; nil when a finding was recorded.
  private mutating func resolve(
    _ input: Input, field: String, source: String, uploads: any UploadStore, hub: HubSubmissions,
    for principal: Principal
  ) async throws -> JobInput? {
    guard case .json(let value, let text) = input else {
      if case .received(let upload) = input { return use(upload) }
      return nil
    }
    func refuse(_ message: String, code: ProblemCode = .invalidRequest) -> JobInput? {
      findings.append(.init(field: field, "\(field): \(message)", code: code))
      return nil
    }
    let forms =
      "an input is one of {\"upload\": ID}, {\"url\": \"https://...\"}, {\"hub\": \"OWNER/NAME\"} and, for a config, "
      + "{\"inline\": {...}}"
    guard case .object(let members) = value, let (form, content) = members.first else { return refuse(forms) }
    do {
      if let (input, name) = try hub.input(members) {
        inputDigests.append(nil)
        return .hub(input, name)
      }
    } catch {
      return refuse(error.reason)
    }
    guard members.count == 1 else { return refuse(forms) }
    switch (form, content) {
    case ("upload", .string(let text)):
      guard let id = Identifier(text), let upload = try await uploads.upload(id), principal.sees(upload.ownership)
      else {
        return refuse("no finished upload has the id \(text)")
      }
      return use(upload)
    case ("url", .string(let text)):
      do {
        let url = try SourceURL(text)
        let fallback = field == "config" ? Self.configName(isCS: source != "hf") : "checkpoint.bin"
        guard let name = url.fileName ?? FileName(fallback) else { return refuse(FileName.rule) }
        inputDigests.append(nil)
        return .url(url, name)
      } catch {
        return refuse(error.reason)
      }
    case ("inline", .object):
      guard field == "config" else { return refuse("only a config can be given inline") }
      let slice = JSONSlices.member("inline", of: text).map(String.init) ?? ""
      guard slice.utf8.count <= Self.inlineLimit else {
        return refuse("an inline config may have at most \(Self.inlineLimit) bytes; upload a larger one")
      }
      guard let name = FileName("config.json") else { return refuse(FileName.rule) }
      inputDigests.append((name, SHA256.hash(data: Data(slice.utf8)).hexadecimal))
      return .inline(slice, name)
    default:
      return refuse(forms)
    }
  }

  private mutating func use(_ upload: Upload) -> JobInput {
    uploadBytes += upload.size
    inputDigests.append((upload.name, upload.sha256))
    return .upload(upload.id, upload.name)
  }

  private static func configName(isCS: Bool) -> String { isCS ? "config.yaml" : "config.json" }
}
