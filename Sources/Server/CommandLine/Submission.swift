import API
import APIClient
import Core
import Foundation
import HTTPTypes

/// Sends the inputs of a conversion to a server and submits the job.
struct Submission {
  let command: ConversionRequest.Command
  let formats: FormatOptions
  /// Nil when the checkpoint is a repository of a hub, which brings its own.
  let config: String?
  let checkpoint: [String]
  /// Named instead of checkpoint and config.
  let places: [ComponentPlace]
  let options: ConversionOptions
  let choices: SubmissionOptions
  /// What is said of the repositories of the checkpoint, or of that of the config where the checkpoint is none.
  let hub: HubChoices

  /// An input of a job, as the server takes it.
  private struct Input: Encodable {
    var upload: Identifier?
    var url: String?
    var hub: String?
    var subfolder: String?
    var variant: String?
    var files: [String]?
    var carry: Bool?
    var token: String?
    var component: String?
  }

  /// A config, or one of each component.
  private enum Config: Encodable {
    case one(Input)
    case components([Input])

    func encode(to encoder: any Encoder) throws {
      switch self {
      case .one(let input): try input.encode(to: encoder)
      case .components(let inputs): try inputs.encode(to: encoder)
      }
    }
  }

  /// What the server takes of the options; budget, threads and the report are its own business.
  private struct Options: Encodable {
    var dropUnmatchedKeys: Bool?
    var allowIncomplete: Bool?
    var outputFormat: String?
    var maxShardSize: Int?
    var oneCheckpoint: Bool?
    var dtype: String?
    var verify: Bool?
    var stream: Bool?
  }

  private struct Body: Encodable {
    let command: String
    let model: String
    let srcFmt: String
    let tgtFmt: String
    let config: Config?
    let checkpoint: [Input]?
    let options: Options?
    let reuse: Bool?
    let webhook: WebhookOptions.Target?
  }

  /// Uploads, submits and prints the id; then waits and downloads as far as that was asked for.
  func run(_ client: ServiceClient) throws {
    let watcher = JobWatcher(client: client, showsProgress: !choices.noProgressBar)
    let components = try components()
    try checkReferences(hasComponents: components.contains { $0.config != nil })
    let files = components.contains { !$0.checkpoint.isEmpty } ? [] : try files()
    let token = try choices.hubTokenText()
    let webhook = try choices.webhook.target()
    let holdsForCheckpoint = files.contains(where: RemoteInputs.isRemote)
    func send(_ path: String, of component: String? = nil, _ choices: HubChoices) throws -> Input {
      // An address is that of a whole component, so it is the page of a repository.
      var input = try self.send(
        path, client, watcher.bar, token: token, choices, isRepository: component != nil && RemoteInputs.isRemote(path))
      input.component = component
      return input
    }
    // A repository brings the config of its component.
    let repositories = try places.filter(\.isRemote).map { try send($0.place, of: $0.name, hub) }
    var configs = try components.compactMap { part in try part.config.map { try send($0, of: part.name, HubChoices()) }
    }
    if !configs.isEmpty || command == .convertConfig { configs += repositories }
    let body = Body(
      command: command.rawValue, model: formats.model, srcFmt: formats.srcFmt, tgtFmt: formats.tgtFmt,
      config: configs.isEmpty
        ? try config.map { .one(try send($0, holdsForCheckpoint ? HubChoices() : hub)) } : .components(configs),
      checkpoint: command == .convert
        ? try files.map { try send($0, hub) } + repositories
          + components.flatMap { part in try part.checkpoint.map { try send($0, of: part.name, HubChoices()) } } : nil,
      options: command == .convert ? chosen : nil, reuse: choices.noReuse ? false : nil,
      webhook: webhook)
    watcher.bar?.clear()
    // A submission whose answer is lost is sent again; the key makes it the same one.
    let job = try client.json(
      RemoteJob.self, .post, "/v1/jobs", headers: [("Idempotency-Key", UUID().uuidString)],
      body: JSONBody.encode(body))
    print(job.id)
    // Whoever reads the id from a pipe gets it now, and not when the job is over.
    fflush(nil)
    let folder = formats.outputDir ?? choices.download
    guard choices.wait || folder != nil else { return }
    let ended = try watcher.follow(job.url)
    try watcher.report(ended)
    if let folder { try watcher.download(ended, into: folder) }
  }

  private var chosen: Options {
    let standard = ConversionOptions()
    return Options(
      dropUnmatchedKeys: options.dropUnmatchedKeys ? true : nil,
      allowIncomplete: options.allowIncomplete ? true : nil, outputFormat: options.outputFormat?.rawValue,
      maxShardSize: options.maxShardSize, oneCheckpoint: options.oneCheckpoint ? true : nil,
      dtype: options.dtype == standard.dtype ? nil : options.dtype.rawValue,
      verify: options.verify ? true : nil, stream: options.stream ? true : nil)
  }

  /// The files of each component, where local folders hold a model of several; empty otherwise.
  private func components() throws -> [ComponentInput] {
    guard places.isEmpty else { return try localComponents() }
    guard !(checkpoint + [config ?? ""]).contains(where: RemoteInputs.isRemote) else { return [] }
    let request = ConversionRequest(
      command: command, model: formats.model, sourceFormat: formats.srcFmt, targetFormat: formats.tgtFmt,
      config: config ?? checkpoint.first ?? "", checkpoint: checkpoint)
    do throws(ConversionError) { return try Conversion.components(of: request) } catch {
      throw ClientFailure(error.message, exitStatus: error.kind.exitStatus)
    }
  }

  /// The files of the components that are named one by one and are local folders.
  private func localComponents() throws -> [ComponentInput] {
    try places.filter { !$0.isRemote }.map { place in
      var component = try place.folder(command)
      guard command == .convert else { return component }
      let result = Result { () throws(ConversionError) in try Conversion.files(ofCheckpoint: component.checkpoint) }
      switch result {
      case .success(let files): component.checkpoint = files
      case .failure(let error): throw ClientFailure(error.message, exitStatus: error.kind.exitStatus)
      }
      return component
    }
  }

  /// The files of the checkpoint. Those of local ones are opened and their headers read: what cannot be converted for being
  /// no checkpoint is found before 100 GB are on their way.
  private func files() throws -> [String] {
    let local = checkpoint.filter { !RemoteInputs.isRemote($0) }
    guard !local.isEmpty else { return checkpoint }
    guard local.count == checkpoint.count else {
      throw ClientFailure("name addresses or local files for the checkpoint, but not both", exitStatus: 2)
    }
    let result = Result { () throws(ConversionError) in try Conversion.files(ofCheckpoint: local) }
    switch result {
    case .success(let files): return files
    case .failure(let error): throw ClientFailure(error.message, exitStatus: error.kind.exitStatus)
    }
  }

  /// Refuses what is said of a repository when none is named. Whether an https address is the page of one, the server
  /// knows, which knows its hub.
  private func checkReferences(hasComponents: Bool) throws {
    if config == nil, !hasComponents, places.isEmpty, checkpoint.count != 1 || !RemoteInputs.isRemote(checkpoint[0]) {
      throw ClientFailure(
        "--config is missing. Only a repository of a hub or a folder of components brings its own.", exitStatus: 2)
    }
    let isRemote =
      (checkpoint + [config ?? ""]).contains(where: RemoteInputs.isRemote) || places.contains(where: \.isRemote)
    if let problem = hub.problem, !isRemote { throw ClientFailure(problem, exitStatus: 2) }
    if choices.hubToken, !isRemote {
      throw ClientFailure("--hub-token is for a repository of a hub; name one as an input.", exitStatus: 2)
    }
  }

  /// The input that an argument stands for, once the server has what is needed of it.
  private func send(
    _ path: String, _ client: ServiceClient, _ bar: ProgressBar?, token: String?, _ choices: HubChoices,
    isRepository: Bool
  ) throws -> Input {
    // An address of which something is said that holds for repositories alone has to be one.
    if isRepository || path.hasPrefix("hub://") || RemoteInputs.isRemote(path) && (choices.isMade || token != nil) {
      return Input(
        hub: path, subfolder: choices.subfolder, variant: choices.variant, files: choices.files,
        carry: choices.carry ? true : nil, token: token)
    }
    if RemoteInputs.isRemote(path) { return Input(url: path) }
    let upload = try ResumableUpload(path, client: client) { done, total in
      bar?.show(transfer: "Sending \(path)", done: done, total: total)
    }
    return Input(upload: try upload.run())
  }
}
