import API
import Inputs

/// Reads inputs of submissions that refer to a hub.
struct HubSubmissions: Sendable {
  /// The base URL of the hub, whose pages are references too.
  let endpoint: SourceURL
  let vault: SecretVault

  private static let members: Set = ["hub", "revision", "subfolder", "variant", "files", "carry", "token"]

  /// True for an input that refers to a repository, rightly or wrongly.
  func isReference(_ input: JobSubmission.Input) -> Bool {
    guard case .json(.object(let members), _) = input else { return false }
    do { return try self.input(members) != nil } catch { return true }
  }

  /// The input of a JSON object; nil when it does not refer to a repository.
  ///
  /// `{"hub": ...}` takes `owner/name`, `hub://owner/name@rev` or the URL of a page or file of a model; so does
  /// `{"url": ...}`, but for the name alone, and any other URL is none of a repository.
  /// Throws for a reference that says something wrong.
  func input(_ members: [String: JSONTree]) throws(HubReference.Refused) -> (HubInput, FileName)? {
    var reference: HubReference
    switch (members["hub"], members["url"]) {
    case (.string(let text)?, nil):
      if let parsed = try HubReference.parse(text, endpoint: endpoint) {
        reference = parsed
      } else {
        guard !text.contains("://") else {
          throw .init(reason: "'\(text.prefix(200))' is no page of a model at \(endpoint.text)")
        }
        reference = try HubReference(repository: text)
      }
    case (nil, .string(let text)?) where members.count == 1:
      guard let parsed = try HubReference.parse(text, endpoint: endpoint) else { return nil }
      reference = parsed
    case (nil, .string?):
      if let member = members.keys.sorted().first(where: Self.members.contains) {
        throw .init(reason: "\(member) belongs to a hub input; write hub in place of url, or leave \(member) out")
      }
      return nil
    case (nil, _): return nil
    default: throw .init(reason: "hub must be a string such as \"EleutherAI/gpt-j-6b\"")
    }
    if let unknown = members.keys.sorted().first(where: { !Self.members.contains($0) && $0 != "url" }) {
      throw .init(reason: "a hub input has no member \(unknown)")
    }
    reference = try reference.narrowed(
      revision: try string(members, "revision"), subfolder: try string(members, "subfolder"),
      variant: try string(members, "variant"), files: try strings(members, "files"))
    var input = HubInput(reference: reference)
    switch members["carry"] {
    case nil, .null: break
    case .bool(let flag): input.carry = flag
    default: throw .init(reason: "carry must be true or false")
    }
    if let text = try string(members, "token") {
      guard let token = HubToken(text), let sealed = try? vault.seal(token.secret) else {
        throw .init(reason: "token must be 1 to 1024 printable ASCII characters")
      }
      input.token = sealed
    }
    let last = reference.repository.split(separator: "/").last.map(String.init) ?? ""
    guard let name = FileName(last) else { throw .init(reason: FileName.rule) }
    return (input, name)
  }

  private func string(_ members: [String: JSONTree], _ name: String) throws(HubReference.Refused) -> String? {
    switch members[name] {
    case nil, .null: return nil
    case .string(let text): return text
    default: throw .init(reason: "\(name) must be a string")
    }
  }

  private func strings(_ members: [String: JSONTree], _ name: String) throws(HubReference.Refused) -> [String]? {
    switch members[name] {
    case nil, .null: return nil
    case .array(let items):
      var texts: [String] = []
      for item in items {
        guard case .string(let text) = item else { throw .init(reason: "\(name) must be an array of strings") }
        texts.append(text)
      }
      return texts
    default: throw .init(reason: "\(name) must be an array of strings")
    }
  }
}
