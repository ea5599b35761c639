import API
import CWeb
import Core
import Crypto
import Foundation
import NIOCore

/// The files of the page as they are embedded in the program.
///
/// All but the document itself are served under a folder that is named after the content of them all. A file under such a
/// name never changes, and modules import their neighbours by plain relative names.
struct Assets: Sendable {
  /// A file.
  struct Asset: Sendable {
    let bytes: ByteBuffer
    let contentType: String
    let tag: EntityTag
  }

  /// The name of the folder: the beginning of a SHA-256 over the names and bytes of all files.
  let version: String
  /// The document.
  let index: Asset
  /// The files of the folder, by name.
  let files: [String: Asset]

  /// What stands in the document for the name of the folder.
  private static let placeholder = "@VERSION@"
  private static let documentName = "index.html"

  /// The files of this program.
  static let embedded: Assets = {
    let table = UnsafeBufferPointer(start: web_files(), count: web_file_count())
    return Assets(table.map { (String(cString: $0.name), Data(bytes: $0.bytes, count: $0.size)) })
  }()

  /// Files with their names; one of them is the document.
  init(_ files: [(name: String, bytes: Data)]) {
    var hash = SHA256()
    for (name, bytes) in files {
      hash.update(data: Data("\(name):\(bytes.count):".utf8))
      hash.update(data: bytes)
    }
    version = String(hash.finalize().hexadecimal.prefix(16))
    var index = Data()
    var others: [String: Asset] = [:]
    for (name, bytes) in files {
      if name == Self.documentName {
        index = Data(String(decoding: bytes, as: UTF8.self).replacing(Self.placeholder, with: version).utf8)
      } else {
        others[name] = Self.asset(name, bytes)
      }
    }
    self.index = Self.asset(Self.documentName, index)
    self.files = others
  }

  private static func asset(_ name: String, _ bytes: Data) -> Asset {
    let types = ["html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"]
    let type = types[name.split(separator: ".").last.map(String.init) ?? ""] ?? "application/octet-stream"
    return Asset(bytes: ByteBuffer(bytes: bytes), contentType: "\(type); charset=utf-8", tag: EntityTag(content: bytes))
  }
}
