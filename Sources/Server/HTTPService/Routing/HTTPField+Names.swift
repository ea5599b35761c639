import HTTPTypes

extension HTTPField.Name {
  /// Defined in RFC 9530. The literals are valid field names.
  static let reprDigest = HTTPField.Name("Repr-Digest")!
  /// Echoed to the client and found in every log line of the request.
  static let xRequestID = HTTPField.Name("X-Request-Id")!
  /// Defined in RFC 7240.
  static let prefer = HTTPField.Name("Prefer")!
  static let preferenceApplied = HTTPField.Name("Preference-Applied")!
  /// Defined in the HTML standard: where an event stream goes on.
  static let lastEventID = HTTPField.Name("Last-Event-ID")!
  static let xAccelBuffering = HTTPField.Name("X-Accel-Buffering")!
}
