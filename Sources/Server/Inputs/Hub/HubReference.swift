import Foundation

/// A repository of a model hub and which of its files are meant, as a client wrote it; checked, not looked up.
package struct HubReference: Sendable, Hashable, Codable {
  /// `owner/name`, or `name` alone for the oldest models.
  package var repository: String
  /// A branch, a tag or a commit.
  package var revision = "main"
  /// The folder of the config and the checkpoint within the repository.
  package var subfolder: String?
  /// Such as `fp16` in `model.fp16.safetensors`.
  package var variant: String?
  /// Paths within the repository; nil chooses by what is there.
  package var files: [String]?
  /// Path of the file whose page was named. As a config it is that file; as a checkpoint, too, unless it is a text such as
  /// a config: then it stands for its repository. `files` goes before it.
  package var page: String?

  /// Why a reference is refused.
  package struct Refused: Error, Equatable {
    package let reason: String

    package init(reason: String) { self.reason = reason }
  }

  /// Bytes of a revision, a subfolder or a path.
  private static let lengthLimit = 500
  /// Files that a reference may name.
  private static let fileLimit = 2000

  /// A repository alone. Throws when it is no name of one, or the revision no name of a branch.
  package init(repository: String, revision: String = "main") throws(Refused) {
    // `validate_repo_id` of huggingface_hub.
    let parts = repository.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), repository.utf8.count <= 200,
      parts.allSatisfy({ part in
        (1...96).contains(part.utf8.count) && part.utf8.allSatisfy(Self.isNameByte) && !part.hasPrefix(".")
          && !part.hasPrefix("-") && !part.hasSuffix(".") && !part.hasSuffix("-") && !part.contains("..")
          && !part.contains("--")
      })
    else { throw Refused(reason: "'\(repository.prefix(100))' is no repository; write OWNER/NAME") }
    guard Self.isPath(revision) else { throw Refused(reason: "'\(revision.prefix(100))' is no revision") }
    self.repository = repository
    self.revision = revision
  }

  /// A part of a repository. Throws when anything in it cannot be meant.
  package init(
    repository: String, revision: String, subfolder: String?, variant: String?, files: [String]?
  ) throws(Refused) {
    try self.init(repository: repository, revision: revision)
    self.subfolder = subfolder
    self.variant = variant
    self.files = files
    try check()
  }

  /// The reference with what was said of it beside its name; nil leaves things as they are. Throws when anything cannot be
  /// meant.
  package func narrowed(
    revision: String? = nil, subfolder: String?, variant: String?, files: [String]?
  ) throws(Refused) -> HubReference {
    var reference = try HubReference(
      repository: repository, revision: revision ?? self.revision, subfolder: subfolder ?? self.subfolder,
      variant: variant ?? self.variant, files: files ?? self.files)
    reference.page = page
    return reference
  }

  /// Checks what was set beside repository and revision.
  private func check() throws(Refused) {
    if let subfolder, !Self.isPath(subfolder) {
      throw Refused(reason: "subfolder '\(subfolder.prefix(100))' is no folder of a repository")
    }
    if let variant, !(1...64).contains(variant.utf8.count) || !variant.utf8.allSatisfy(Self.isNameByte) {
      throw Refused(reason: "variant '\(variant.prefix(100))' has other characters than letters, digits, -, _ and .")
    }
    if let page, !Self.isPath(page) { throw Refused(reason: "'\(page.prefix(100))' is no path within a repository") }
    guard let files else { return }
    guard (1...Self.fileLimit).contains(files.count) else {
      throw Refused(reason: "files must name 1 to \(Self.fileLimit) paths")
    }
    for file in files where !Self.isPath(file) {
      throw Refused(reason: "'\(file.prefix(100))' is no path within a repository")
    }
  }

  /// Reads `hub://owner/name@rev`, or the URL of a page or file of a model on the hub at `endpoint` (`HubPage`); nil for
  /// any other text.
  package static func parse(_ text: String, endpoint: SourceURL) throws(Refused) -> HubReference? {
    let scheme = text.prefix { $0 != ":" }.lowercased()
    if scheme == "hub", text.dropFirst(scheme.count).hasPrefix("://") {
      let rest = text.dropFirst("hub://".count)
      let parts = rest.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      // As the URL of a page may end.
      let repository = parts[0].hasSuffix("/") ? String(parts[0].dropLast()) : parts[0]
      return try HubReference(repository: repository, revision: parts.count > 1 ? parts[1] : "main")
    }
    guard scheme == "https" || scheme == "http", let url = try? SourceURL(text),
      let page = try HubPage(url, endpoint: endpoint)
    else { return nil }
    guard let place = page.place else { return try HubReference(repository: page.repository) }
    var reference = try HubReference(repository: page.repository, revision: place.revision)
    reference.subfolder = place.folder
    reference.page = place.file
    try reference.check()
    return reference
  }

  /// True for a full commit id, which never changes its meaning.
  static func isCommit(_ revision: String) -> Bool {
    revision.utf8.count == 40 && revision.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F || byte == 0x2D || byte == 0x2E
  }

  /// One or more names with slashes between them, none of which leads elsewhere.
  private static func isPath(_ text: String) -> Bool {
    (1...lengthLimit).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C }
      && text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
        !part.isEmpty && part != "." && part != ".."
      }
  }
}

extension HubReference: CustomStringConvertible {
  /// `hub://owner/name@rev`.
  package var description: String { "hub://\(repository)@\(revision)" }
}
