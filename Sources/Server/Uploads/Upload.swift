/// A file that a client sent, complete and on disk.
struct Upload: Sendable, Hashable {
  let id: Identifier
  let name: FileName
  /// Bytes.
  let size: Int
  /// Lower-case hexadecimal.
  let sha256: String
  let createdAt: Timestamp
  /// Who sent it.
  var ownership = Ownership.nobody
}

/// An upload as clients see it.
struct UploadDocument: Encodable, Sendable {
  let id: Identifier
  let filename: FileName
  let size: Int
  let sha256: String
  let createdAt: Timestamp
  let url: String

  init(_ upload: Upload) {
    id = upload.id
    filename = upload.name
    size = upload.size
    sha256 = upload.sha256
    createdAt = upload.createdAt
    url = "/v1/uploads/\(upload.id)"
  }
}
