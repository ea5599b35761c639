import API
import Core
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import SystemPackage

/// A file sent to a client, whole or in part.
///
/// The file is open before the head is sent, so removing it meanwhile does not cut the download short. Memory
/// does not grow with the file.
struct FileDownload: Sendable {
  let path: FilePath
  let name: FileName
  let size: Int
  /// Lower-case hexadecimal.
  let sha256: String

  /// The answer to GET (or HEAD): 200, 206, 304, 412 or 416.
  ///
  /// `sent` is told of the bytes that were handed to the connection, as they go.
  /// Throws `Fault` when the file cannot be opened or has another size than it had, and `Errno.noSuchFileOrDirectory`
  /// when it is gone: the caller knows whether it may be.
  func response(
    to request: Request, sent: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws -> Response {
    let tag = EntityTag(sha256: sha256)
    var headers: HTTPFields = [
      .eTag: tag.value, .acceptRanges: "bytes", .cacheControl: "private, no-cache",
      .contentDisposition: name.contentDisposition, .contentType: contentType, .xContentTypeOptions: "nosniff",
    ]
    if let digest = Self.base64(hex: sha256) { headers[.reprDigest] = "sha-256=:\(digest):" }

    guard tag.isWanted(by: request.headers[.ifMatch]) else {
      throw Problem(
        .preconditionFailed, "\(name) has the ETag \(tag.value)", headers: [.eTag: tag.value])
    }
    if tag.matchesAny(of: request.headers[.ifNoneMatch]) {
      headers[.contentType] = nil
      headers[.contentDisposition] = nil
      return Response(status: .notModified, headers: headers)
    }
    let wanted: ByteRange =
      request.method == .get && tag.allowsRange(ifRange: request.headers[.ifRange])
      ? ByteRange(request.headers[.range], size: size) : .whole
    let bytes: Range<Int>
    switch wanted {
    case .whole:
      bytes = 0..<size
    case .part(let range):
      bytes = range
      headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
    case .unsatisfiable:
      throw Problem(
        .rangeNotSatisfiable, "\(name) has \(size) bytes",
        headers: [.contentRange: "bytes */\(size)"])
    }
    if request.method == .head {
      headers[.contentLength] = String(size)
      return Response(status: .ok, headers: headers)
    }
    let file = try await open()
    return Response(
      status: bytes.count == size && headers[.contentRange] == nil ? .ok : .partialContent, headers: headers,
      body: ResponseBody(contentLength: bytes.count) { writer in
        try await file.send(bytes, to: &writer, sent: sent)
        try await writer.finish(nil)
      })
  }

  private func open() async throws -> OpenFile {
    do {
      let file = try await FileThreads.run { try OpenFile(path) }
      guard file.size == size else {
        throw Fault(.internal, "\(name) is damaged", cause: "\(path) has \(file.size) bytes")
      }
      return file
    } catch let error as Errno where error != .noSuchFileOrDirectory {
      throw Fault(.internal, "\(name) cannot be read", cause: "\(path): \(error)")
    }
  }

  private var contentType: String {
    switch FilePath(name.description).extension {
    case "json": "application/json"
    case "yaml", "yml": "application/yaml"
    default: "application/octet-stream"
    }
  }

  /// The digest as RFC 9530 wants it; nil when `hex` is not hexadecimal.
  private static func base64(hex: String) -> String? {
    var data = Data()
    var rest = hex[...]
    while rest.count >= 2 {
      guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
      data.append(byte)
      rest = rest.dropFirst(2)
    }
    return rest.isEmpty ? data.base64EncodedString() : nil
  }
}
