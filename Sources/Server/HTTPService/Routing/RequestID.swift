import API
import HTTPTypes

/// The id under which a request is found in the log: the client's `X-Request-Id` when it is harmless, else a new one.
enum RequestID {
  /// Bytes of a client's id at most.
  static let limit = 128

  /// Letters, digits and `. _ : / = + -` of ASCII, so that an id can be searched for and breaks no log.
  static func read(_ headers: HTTPFields) -> String {
    guard let id = headers[.xRequestID], (1...limit).contains(id.utf8.count),
      id.utf8.allSatisfy({ byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "._:/=+-".utf8.contains(byte)
        }
      })
    else { return Identifier.generate().description }
    return id
  }
}
