/// One input of a job, checked at submission.
enum JobInput: Sendable, Hashable {
  /// A file that was uploaded before, or with the submission.
  case upload(Identifier, FileName)
  /// A file that the worker downloads.
  case url(SourceURL, FileName)
  /// A config given in the submission, byte for byte.
  case inline(String, FileName)

  /// The name under which a conversion sees the file; output names derive from it.
  var name: FileName {
    switch self {
    case .upload(_, let name), .url(_, let name), .inline(_, let name): name
    }
  }

  /// True when the content is with the service before the job runs.
  var isLocal: Bool {
    switch self {
    case .upload, .inline: true
    default: false
    }
  }

  /// The upload, if it is one.
  var upload: Identifier? { if case .upload(let id, _) = self { id } else { nil } }
}

/// The form in the database. What clients see is `JobDocument.Input`.
extension JobInput: Codable {
  private enum CodingKeys: String, CodingKey {
    case upload
    case url
    case inline
    case name
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let name = try container.decode(FileName.self, forKey: .name)
    if let id = try container.decodeIfPresent(Identifier.self, forKey: .upload) {
      self = .upload(id, name)
    } else if let url = try container.decodeIfPresent(SourceURL.self, forKey: .url) {
      self = .url(url, name)
    } else {
      self = .inline(try container.decode(String.self, forKey: .inline), name)
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    switch self {
    case .upload(let id, _): try container.encode(id, forKey: .upload)
    case .url(let url, _): try container.encode(url, forKey: .url)
    case .inline(let text, _): try container.encode(text, forKey: .inline)
    }
  }
}
