package import API
import Foundation

/// One input of a job, checked at submission.
package enum JobInput: Sendable, Hashable {
  /// A file that was uploaded before, or with the submission.
  case upload(Identifier, FileName)
  /// A file that the worker downloads.
  case url(SourceURL, FileName)
  /// Files of a repository of a model hub: a config, or a checkpoint of any number of files.
  case hub(HubInput, FileName)
  /// A config given in the submission, byte for byte. The text is with a submission and with a job that a worker claims;
  /// whoever else reads a job gets nil.
  case inline(String?, FileName)
  /// The config of a composed model: one of each component, none of which is one of these again.
  case components([JobInput])

  /// The name under which a conversion sees the file; output names derive from it.
  package var name: FileName {
    switch self {
    case .upload(_, let name), .url(_, let name), .hub(_, let name), .inline(_, let name): name
    case .components: .config
    }
  }

  /// The inputs that it is made of: those of all components, or itself.
  package var parts: [JobInput] { if case .components(let parts) = self { parts } else { [self] } }

  /// The input that is made of these; more than one are components.
  package init(parts: [JobInput]) { self = parts.count == 1 ? parts[0] : .components(parts) }

  /// True when the content is with the service before the job runs.
  package var isLocal: Bool {
    switch self {
    case .upload, .inline: true
    default: false
    }
  }

  /// The same without the text of an inline config.
  package var withoutText: JobInput {
    switch self {
    case .inline(_, let name): .inline(nil, name)
    case .components(let parts): .components(parts.map(\.withoutText))
    default: self
    }
  }

  /// The texts of all inline configs in it, in order; nil when there is none. One that is not of a component is as it is,
  /// others are an array in JSON.
  package var text: String? {
    get throws {
      if case .inline(let text, _) = self { return text }
      let texts = parts.compactMap { part in if case .inline(let text?, _) = part { text } else { nil } }
      return texts.isEmpty ? nil : try JSONBody.text(texts)
    }
  }

  /// The same with the texts that `text` gave.
  package func with(text: String?) throws -> JobInput {
    if case .inline(_, let name) = self { return .inline(text, name) }
    guard case .components(let parts) = self, let text else { return self }
    var texts = try JSONDecoder().decode([String].self, from: Data(text.utf8))[...]
    return .components(
      parts.map { part in if case .inline(_, let name) = part { .inline(texts.popFirst(), name) } else { part } })
  }

  /// The upload, if it is one.
  package var upload: Identifier? { if case .upload(let id, _) = self { id } else { nil } }
}

/// A repository as a job refers to it.
package struct HubInput: Sendable, Hashable, Codable {
  package var reference: HubReference
  /// The commit that the job is pinned to, from its first attempt on.
  package var commit: String?
  /// Tokenizer and generation files go to the outputs as they are.
  package var carry = false
  /// What opens a private repository; nil leaves that to the operator's token.
  package var token: SealedSecret?

  package init(reference: HubReference, commit: String? = nil, carry: Bool = false, token: SealedSecret? = nil) {
    self.reference = reference
    self.commit = commit
    self.carry = carry
    self.token = token
  }
}

/// The form in the database. What clients see is `JobDocument.Input`.
extension JobInput: Codable {
  private enum CodingKeys: String, CodingKey {
    case upload
    case url
    case hub
    case inline
    case components
    case name
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if let parts = try container.decodeIfPresent([JobInput].self, forKey: .components) {
      self = .components(parts)
      return
    }
    let name = try container.decode(FileName.self, forKey: .name)
    if let id = try container.decodeIfPresent(Identifier.self, forKey: .upload) {
      self = .upload(id, name)
    } else if let url = try container.decodeIfPresent(SourceURL.self, forKey: .url) {
      self = .url(url, name)
    } else if let hub = try container.decodeIfPresent(HubInput.self, forKey: .hub) {
      self = .hub(hub, name)
    } else {
      self = .inline(try container.decodeIfPresent(String.self, forKey: .inline), name)
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    switch self {
    case .upload(let id, _): try container.encode(id, forKey: .upload)
    case .url(let url, _): try container.encode(url, forKey: .url)
    case .hub(let hub, _): try container.encode(hub, forKey: .hub)
    case .inline(let text, _): try container.encodeIfPresent(text, forKey: .inline)
    case .components(let parts): try container.encode(parts, forKey: .components)
    }
  }
}
