package import HTTPTypes

/// What both ends of tus 1.0.0 (https://tus.io/protocols/resumable-upload) have to agree on.
package enum TusProtocol {
  /// The one version that is spoken.
  package static let version = "1.0.0"
  /// The media type of the bytes of an upload.
  package static let contentType = "application/offset+octet-stream"
}

extension HTTPField.Name {
  /// How many bytes of an upload the server has.
  package static let uploadOffset = HTTPField.Name("Upload-Offset")!
}
