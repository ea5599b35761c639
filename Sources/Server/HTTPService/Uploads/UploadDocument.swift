import API
import Jobs

/// An upload as clients see it, finished or not. Absent values are null, so that every upload has every field.
struct UploadDocument: Encodable, Sendable {
  let id: Identifier
  let filename: FileName
  /// Bytes of the whole; nil when the client has not said it yet.
  let size: Int?
  /// Bytes that have arrived.
  let offset: Int
  /// Nil until all bytes are here.
  let sha256: String?
  let createdAt: Timestamp
  /// When an unfinished upload is removed unless more arrives; nil for a finished one.
  let expiresAt: Timestamp?
  let url: String

  private enum CodingKeys: String, CodingKey {
    case id, filename, size, offset, sha256, createdAt, expiresAt, url
  }

  init(_ upload: Upload) {
    id = upload.id
    filename = upload.name
    size = upload.size
    offset = upload.size
    sha256 = upload.sha256
    createdAt = upload.createdAt
    expiresAt = nil
    url = "/v1/uploads/\(upload.id)"
  }

  /// An unfinished upload and its end.
  init(_ upload: PartialUpload, expiresAt: Timestamp?) {
    id = upload.id
    filename = upload.name
    size = upload.length
    offset = upload.offset
    sha256 = nil
    createdAt = upload.createdAt
    self.expiresAt = expiresAt
    url = "/v1/uploads/\(upload.id)"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(id, forKey: .id)
    try container.encode(filename, forKey: .filename)
    try container.encode(size, forKey: .size)
    try container.encode(offset, forKey: .offset)
    try container.encode(sha256, forKey: .sha256)
    try container.encode(createdAt, forKey: .createdAt)
    try container.encode(expiresAt, forKey: .expiresAt)
    try container.encode(url, forKey: .url)
  }
}

/// A page of uploads.
struct UploadListDocument: Encodable, Sendable {
  let uploads: [UploadDocument]
  /// Pass it as `cursor` for the next page; null on the last one.
  let nextCursor: Identifier?

  private enum CodingKeys: String, CodingKey { case uploads, nextCursor }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(uploads, forKey: .uploads)
    try container.encode(nextCursor, forKey: .nextCursor)
  }
}
