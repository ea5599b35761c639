import API
import Crypto
import Foundation
import Jobs
import NIOCore

/// `Upload-Checksum` of tus: what the body of one request must hash to.
struct UploadChecksum: Sendable {
  /// What clients may use; the first is the one that every server must have.
  static let algorithms = ["sha1", "sha256"]

  private enum Running: Sendable {
    case sha1(Insecure.SHA1)
    case sha256(SHA256)
  }

  private let expected: Data
  private var running: Running

  /// Reads `sha256 BASE64`. Throws `Fault` 400 for another algorithm or a digest of another length.
  init(_ header: String) throws {
    let parts = header.split(separator: " ")
    guard parts.count == 2, let expected = Data(base64Encoded: String(parts[1])) else {
      throw Fault.malformed("Upload-Checksum must be an algorithm, a space and the digest in base64")
    }
    let size: Int
    switch parts[0] {
    case "sha1":
      running = .sha1(Insecure.SHA1())
      size = Insecure.SHA1.byteCount
    case "sha256":
      running = .sha256(SHA256())
      size = SHA256.byteCount
    default:
      throw Fault.malformed(
        "Upload-Checksum names \(parts[0]); the service has \(Self.algorithms.joined(separator: " and "))")
    }
    guard expected.count == size else {
      throw Fault.malformed("Upload-Checksum has \(expected.count) bytes; \(parts[0]) has \(size)")
    }
    self.expected = expected
  }

  /// Counts bytes in.
  mutating func update(_ buffer: ByteBuffer) {
    buffer.withUnsafeReadableBytes { bytes in
      switch running {
      case .sha1(var hash):
        hash.update(bufferPointer: bytes)
        running = .sha1(hash)
      case .sha256(var hash):
        hash.update(bufferPointer: bytes)
        running = .sha256(hash)
      }
    }
  }

  /// True when the bytes hash to what was announced.
  var matches: Bool {
    switch running {
    case .sha1(let hash): hash.finalize().elementsEqual(expected)
    case .sha256(let hash): hash.finalize().elementsEqual(expected)
    }
  }
}
