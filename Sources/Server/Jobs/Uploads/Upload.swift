package import API

/// A file that a client sent, complete and on disk.
package struct Upload: Sendable, Hashable {
  package let id: Identifier
  package let name: FileName
  /// Bytes.
  package let size: Int
  /// Lower-case hexadecimal.
  package let sha256: String
  package let createdAt: Timestamp
  /// `Upload-Metadata` as it came with tus, to be told again.
  package var metadata = ""
  /// Who sent it.
  package var ownership = Ownership.nobody

  package init(
    id: Identifier, name: FileName, size: Int, sha256: String, createdAt: Timestamp, metadata: String = "",
    ownership: Ownership = Ownership.nobody
  ) {
    self.id = id
    self.name = name
    self.size = size
    self.sha256 = sha256
    self.createdAt = createdAt
    self.metadata = metadata
    self.ownership = ownership
  }
}
