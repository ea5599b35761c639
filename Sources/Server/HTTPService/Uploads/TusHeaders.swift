import API
import Foundation
import HTTPTypes
import Hummingbird
import Jobs

/// The header fields of tus 1.0.0 (https://tus.io/protocols/resumable-upload) and how their values are read.
enum TusHeaders {
  /// What the service has beyond the core protocol.
  static let extensions =
    "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination"

  /// Whether a path is one under which tus is spoken.
  static func concern(_ path: String) -> Bool {
    RouteTable.segments(of: path)?.starts(with: ["v1", "uploads"]) ?? false
  }

  /// The request that is meant: clients behind filters send POST and name the method in a header field.
  static func meant(by request: Request) -> Request {
    guard let method = request.headers[.methodOverride].flatMap({ HTTPRequest.Method($0) }) else { return request }
    var head = request.head
    head.method = method
    return Request(head: head, body: request.body)
  }

  /// Throws `Problem` 412 for a request that names another version. `OPTIONS` asks for versions and may name any.
  static func checkVersion(of request: Request) throws {
    guard request.method != .options, request.headers[.tusResumable] != nil else { return }
    try requireVersion(request.headers)
  }

  /// Throws `Problem` 412 unless the request names the version.
  static func requireVersion(_ headers: HTTPFields) throws {
    guard headers[.tusResumable] == TusProtocol.version else {
      throw Problem(
        .unsupportedProtocol, "Tus-Resumable must be \(TusProtocol.version)",
        headers: [.tusVersion: TusProtocol.version])
    }
  }

  /// Throws `Fault` 400 for a part of an upload that is to be put together later, which is an extension that the service
  /// does not have: said before the parts are sent, not after.
  static func refuseConcatenation(_ headers: HTTPFields) throws {
    guard headers[.uploadConcat] != nil else { return }
    throw Fault.malformed(
      "Upload-Concat needs the tus extension concatenation, which this service does not have; send the file as one upload. "
        + "It has \(extensions)")
  }

  /// A number of bytes; nil when the field is absent. Throws `Fault` 400 for anything but decimal digits.
  static func bytes(_ name: HTTPField.Name, in headers: HTTPFields) throws -> Int? {
    guard let text = headers[name] else { return nil }
    guard text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }), let number = Int(text) else {
      throw Fault.malformed("\(name.rawName) must be a number of bytes, not \(text)")
    }
    return number
  }

  /// The pairs of `Upload-Metadata`: `name BASE64, other BASE64, flag`.
  ///
  /// Throws `Fault` 400 when a name is empty or comes twice, or a value is no base64.
  static func metadata(_ header: String?) throws -> [String: Data] {
    var pairs: [String: Data] = [:]
    guard let header, !header.trimmingSpaces.isEmpty else { return pairs }
    for entry in header.split(separator: ",", omittingEmptySubsequences: false) {
      let parts = entry.trimmingSpaces.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = parts.first, !name.isEmpty,
        let value = Data(base64Encoded: parts.count > 1 ? String(parts[1].trimmingSpaces) : ""),
        pairs.updateValue(value, forKey: String(name)) == nil
      else {
        throw Fault.malformed(
          "Upload-Metadata must be pairs of a name and base64, separated by commas, each name once")
      }
    }
    return pairs
  }

  /// The file name in `Upload-Metadata`; clients that give none get a neutral one. Throws `Fault` 400 or 422.
  static func fileName(_ header: String?) throws -> FileName {
    let pairs = try metadata(header)
    guard let value = pairs["filename"] else {
      guard let name = FileName("upload") else { throw Fault.invalid(field: "filename", FileName.rule) }
      return name
    }
    guard let text = String(validating: value, as: UTF8.self), let name = ComponentNames.upload(text) else {
      throw Fault.invalid(field: "filename", ComponentNames.rule)
    }
    return name
  }
}

/// The literals are valid field names.
extension HTTPField.Name {
  static let tusResumable = HTTPField.Name("Tus-Resumable")!
  static let tusVersion = HTTPField.Name("Tus-Version")!
  static let tusExtension = HTTPField.Name("Tus-Extension")!
  static let tusMaxSize = HTTPField.Name("Tus-Max-Size")!
  static let tusChecksumAlgorithm = HTTPField.Name("Tus-Checksum-Algorithm")!
  static let uploadLength = HTTPField.Name("Upload-Length")!
  static let uploadDeferLength = HTTPField.Name("Upload-Defer-Length")!
  static let uploadMetadata = HTTPField.Name("Upload-Metadata")!
  static let uploadChecksum = HTTPField.Name("Upload-Checksum")!
  static let uploadConcat = HTTPField.Name("Upload-Concat")!
  static let uploadExpires = HTTPField.Name("Upload-Expires")!
  static let methodOverride = HTTPField.Name("X-HTTP-Method-Override")!
}
