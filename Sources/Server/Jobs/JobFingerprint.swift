package import API
package import Core
import Crypto
import Foundation

/// What two jobs have in common that must give the same bytes: the program, the model, the formats, the options, and the
/// names and digests of all inputs in their order.
package struct JobFingerprint {
  private var hash = SHA256()

  /// The beginning of a fingerprint; `model` is the name in the catalogue, not an alias.
  package init(
    program: String, command: ConversionRequest.Command, model: String, source: String, target: String,
    options: ConversionOptions
  ) throws {
    for part in [program, command.rawValue, model, source, target, try JSONBody.text(options)] { add(part) }
  }

  /// Adds an input.
  package mutating func add(_ name: FileName, sha256: String) {
    add(name.description)
    add(sha256)
  }

  /// The fingerprint in hexadecimal.
  package var value: String { hash.finalize().hexadecimal }

  /// Length first, so that no two lists of parts run together to the same bytes.
  private mutating func add(_ part: String) {
    hash.update(data: Data("\(part.utf8.count):\(part)".utf8))
  }
}
