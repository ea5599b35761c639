import API
import Core
import Crypto
import Foundation
import Inputs
import Jobs

/// A submission being read: fields as they came, then one check that names everything that is wrong.
///
/// JSON and multipart bodies both end up here.
struct JobSubmission: Sendable {
  /// A config or a checkpoint file that is not checked yet.
  enum Input: Sendable {
    /// A file of this very request, and the path that the client gave it.
    case received(Upload, path: String)
    /// A JSON value: `{"upload": ...}`, `{"url": ...}`, `{"hub": ...}` or `{"inline": ...}`, which may
    /// say its `component`, and its text.
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

  /// Bytes of an inline config. It is kept in the database as long as the job.
  static let inlineLimit = 1 << 20
  /// Files and references of one checkpoint; as many as a form may have parts.
  static let checkpointLimit = MultipartParser.partLimit

  /// The plain fields.
  static let plainFields: Set = ["command", "model", "src_fmt", "tgt_fmt", "options", "reuse", "webhook"]

  init() {}

  /// Reads a JSON body.
  init(json data: Data) throws {
    guard case .object(let members) = try JSONTree.parse(data) else {
      throw Fault.malformed("the body must be a JSON object")
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

  /// Adds an input given as JSON, or an array of inputs: shards of a checkpoint, files of components.
  mutating func add(_ value: JSONTree, text: Substring, to field: String) {
    if case .null = value { return }
    let items = if case .array(let items) = value { items } else { [value] }
    if items.isEmpty { findings.append(.init(field: field, "the list of inputs of a \(field) is empty")) }
    let before = field == "config" ? config.count : checkpoint.count
    guard before + items.count <= Self.checkpointLimit else {
      findings.append(.init(field: field, "a \(field) may have at most \(Self.checkpointLimit) inputs"))
      return
    }
    if field == "config" {
      let texts = if case .array = value { JSONSlices.elements(of: text) } else { [text] }
      config += zip(items, texts).map { .json($0, text: $1) }
      return
    }
    // Checkpoints have no inline form, so their text is not needed.
    checkpoint += items.map { .json($0, text: "") }
  }

  /// Adds a file of this request.
  mutating func add(_ upload: Upload, path: String, to field: String) {
    if field == "config" {
      config.append(.received(upload, path: path))
    } else {
      checkpoint.append(.received(upload, path: path))
    }
  }

  /// Checks everything and makes the job. Throws `Fault` 422 with one finding for each fault.
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

    let names = ComponentNames(model: model, source: source)
    if config.isEmpty, !checkpoint.isEmpty, checkpoint.allSatisfy(hub.isReference),
      checkpoint.count == 1 || checkpoint.allSatisfy(\.saysComponent)
    {
      // The config of a repository comes with its checkpoint.
      config = checkpoint
      impliesConfig = true
    }
    if config.isEmpty { findings.append(.init(field: "config", "config is missing")) }
    if command == .convert, checkpoint.isEmpty {
      findings.append(.init(field: "checkpoint", "checkpoint is missing"))
    }
    if command == .convertConfig, !checkpoint.isEmpty {
      findings.append(.init(field: "checkpoint", "convert-config takes no checkpoint"))
    }
    var configInputs: [JobInput] = []
    for (index, input) in config.enumerated() {
      let others = findings
      let field = config.count == 1 ? "config" : "config[\(index)]"
      if let input = try await resolve(
        input, of: "config", field: field, source: source, names, uploads: uploads, hub: hub, for: principal)
      {
        configInputs.append(input)
      }
      // What is wrong with a reference that serves for both is said of the checkpoint.
      if impliesConfig { findings = others }
    }
    var checkpointInputs: [JobInput] = []
    for (index, input) in checkpoint.enumerated() {
      let field = checkpoint.count == 1 ? "checkpoint" : "checkpoint[\(index)]"
      if let input = try await resolve(
        input, of: "checkpoint", field: field, source: source, names, uploads: uploads, hub: hub, for: principal)
      {
        checkpointInputs.append(input)
      }
    }
    checkNames(configs: configInputs, checkpoint: checkpointInputs)
    guard findings.isEmpty, let command else { throw Fault.invalid(findings) }
    var job = Job(
      id: .generate(), command: command, model: model, sourceFormat: source, targetFormat: target,
      config: JobInput(parts: configInputs), checkpoint: checkpointInputs, options: reader.options, createdAt: .now,
      ownership: principal.ownership)
    job.webhook = webhook.webhook
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

  /// Finds files that have the same name, and files of components beside others that are of none.
  private mutating func checkNames(configs: [JobInput], checkpoint: [JobInput]) {
    if Set(checkpoint.map(\.name)).count != checkpoint.count {
      findings.append(.init(field: "checkpoint", "two checkpoint files have the same name"))
    }
    for (field, inputs) in [("config", configs), ("checkpoint", checkpoint)] {
      if let other = inputs.first(where: { $0.name.component == nil }),
        inputs.contains(where: { $0.name.component != nil })
      {
        findings.append(
          .init(field: field, "\(field): \(other.name) is of no component, while others are; say of which it is"))
      }
    }
    let components = configs.map(\.name.component)
    if components.count > 1, Set(components).count != components.count {
      let isFlat = components.allSatisfy { $0 == nil }
      findings.append(
        .init(field: "config", isFlat ? "there may be one config only" : "a component may have one config only"))
    }
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
    _ input: Input, of part: String, field: String, source: String, _ names: ComponentNames, uploads: any UploadStore,
    hub: HubSubmissions, for principal: Principal
  ) async throws -> JobInput? {
    func refuse(_ message: String, code: FaultCode = .invalidRequest) -> JobInput? {
      findings.append(.init(field: field, "\(field): \(message)", code: code))
      return nil
    }
    let forms =
      "an input is one of {\"upload\": ID}, {\"url\": \"https://...\"}, {\"hub\": \"OWNER/NAME\"} and, for a config, "
      + "{\"inline\": {...}}"
    let (value, text): (JSONTree, Substring)
    switch input {
    case .received(let upload, let path):
      do { return use(upload, as: try names.file(path)) } catch { return refuse(error.reason) }
    case .json(let tree, let slice): (value, text) = (tree, slice)
    }
    guard case .object(var members) = value else { return refuse(forms) }
    let component: String?
    do {
      switch members.removeValue(forKey: "component") {
      case nil, .null: component = nil
      case .string(let text): component = try names.check(text)
      default: return refuse("component must be a string such as \"image_model\"")
      }
    } catch {
      return refuse(error.reason)
    }
    guard let (form, content) = members.first else { return refuse(forms) }
    do {
      if let (input, name) = try hub.input(members) {
        inputDigests.append(nil)
        return .hub(input, name.inside(component))
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
      do {
        let own = try names.check(upload.name.component)
        return use(upload, as: upload.name.inside(component ?? own))
      } catch {
        return refuse(error.reason)
      }
    case ("url", .string(let text)):
      do {
        let url = try SourceURL(text)
        let fallback = part == "config" ? Self.configName(isCS: source != "hf") : "checkpoint.bin"
        guard let name = url.fileName ?? FileName(fallback) else { return refuse(FileName.rule) }
        inputDigests.append(nil)
        return .url(url, name.inside(component))
      } catch {
        return refuse(error.reason)
      }
    case ("inline", .object):
      guard part == "config" else { return refuse("only a config can be given inline") }
      let slice = JSONSlices.member("inline", of: text).map(String.init) ?? ""
      guard slice.utf8.count <= Self.inlineLimit else {
        return refuse("an inline config may have at most \(Self.inlineLimit) bytes; upload a larger one")
      }
      let name = FileName.config.inside(component)
      inputDigests.append((name, SHA256.hash(data: Data(slice.utf8)).hexadecimal))
      return .inline(slice, name)
    default:
      return refuse(forms)
    }
  }

  private mutating func use(_ upload: Upload, as name: FileName) -> JobInput {
    uploadBytes += upload.size
    inputDigests.append((name, upload.sha256))
    return .upload(upload.id, name)
  }

  private static func configName(isCS: Bool) -> String { isCS ? "config.yaml" : "config.json" }
}

extension JobSubmission.Input {
  /// True for JSON that names a component, rightly or wrongly.
  fileprivate var saysComponent: Bool {
    guard case .json(.object(let members), _) = self else { return false }
    return members["component"] != nil
  }
}
