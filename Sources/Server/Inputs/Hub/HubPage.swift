import API

/// The URL of a page or a file of a model on a hub, taken apart.
///
/// Pages are `/owner/name`, `/tree/rev[/folder]`, `/blob/rev/file`, `/raw/rev/file` and `/resolve/rev/file`, below the
/// base URL of the hub. Pages of the public hub are those of the hub that is configured: people paste what their browser
/// shows, and a mirror has the same repositories.
struct HubPage {
  /// `owner/name`, or `name` alone for the oldest models.
  var repository: String
  /// What follows the repository, and nil when nothing does.
  var place: Place?

  /// A part of a repository at a revision.
  struct Place {
    var revision: String
    /// The folder that is shown, or that the file is in.
    var folder: String?
    /// Path of the file, if it is the page of one.
    var file: String?
  }

  /// Names of the public hub.
  private static let publicHosts: Set = ["huggingface.co", "www.huggingface.co", "hf.co", "www.hf.co"]

  /// First parts of paths that belong to something else than a model.
  private static let otherPages: [String: String] = [
    "datasets": "a dataset", "spaces": "a space", "docs": "documentation", "papers": "a paper", "blog": "the blog",
    "collections": "a collection", "organizations": "an organisation", "models": "a list of models", "api": "the API",
    "settings": "settings", "tasks": "a task", "learn": "a course", "posts": "a post",
  ]

  /// Nil for a URL that is not the hub's, and for a file of a dataset or a space: that is a file like any other.
  ///
  /// Throws for pages of the hub that are no page of a model.
  init?(_ url: SourceURL, endpoint: SourceURL) throws(HubReference.Refused) {
    guard let parts = try Self.parts(of: url, endpoint: endpoint) else { return nil }
    func refused(_ what: String) -> HubReference.Refused {
      .init(reason: "\(url.withoutQuery) \(what); name a model, such as OWNER/NAME")
    }
    guard let first = parts.first else { throw refused("is no page of a model") }
    if let other = Self.otherPages[first] {
      if ["datasets", "spaces"].contains(first), parts.contains("resolve") { return nil }
      throw refused("is the page of \(other)")
    }
    let kinds: Set = ["tree", "blob", "raw", "resolve"]
    let split = parts.indices.dropFirst().first { kinds.contains(parts[$0]) } ?? parts.count
    guard split <= 2 else { throw refused("is no page of a model") }
    repository = parts[..<split].joined(separator: "/")
    var rest = parts[split...].dropFirst()
    guard let start = rest.first else { return }
    // Pull requests and conversions have slashes in their names: refs/pr/1.
    let length = start == "refs" && rest.count >= 3 ? 3 : 1
    let revision = rest.prefix(length).joined(separator: "/")
    rest = rest.dropFirst(length)
    let isFolder = parts[split] == "tree"
    let folder = (isFolder ? rest : rest.dropLast()).joined(separator: "/")
    place = Place(
      revision: revision, folder: folder.isEmpty ? nil : folder,
      file: isFolder || rest.isEmpty ? nil : rest.joined(separator: "/"))
  }

  /// The decoded parts of the path below the base URL; nil when the URL is elsewhere.
  private static func parts(
    of url: SourceURL, endpoint: SourceURL
  ) throws(HubReference.Refused) -> [String]? {
    var base = "/"
    let isPublic =
      publicHosts.contains(url.host) && ["https://\(url.host):443", "http://\(url.host):80"].contains(url.origin)
    if !isPublic {
      base = endpoint.path.hasSuffix("/") ? endpoint.path : endpoint.path + "/"
      guard url.origin == endpoint.origin, url.path.hasPrefix(base) else { return nil }
    }
    var parts: [String] = []
    for part in url.path.dropFirst(base.count).split(separator: "/") {
      guard let decoded = PercentEncoding.decode(part) else {
        throw .init(reason: "the URL is not percent-encoded UTF-8")
      }
      parts.append(decoded)
    }
    return parts
  }
}
