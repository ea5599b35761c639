import API
import Core
import Crypto
import Foundation

/// Which build of the service this is: the SHA-256 of the running executable.
///
/// Outputs are reused by the very program that made them only. A version number would have to be raised for each changed
/// rule; the digest cannot be forgotten.
package enum ProgramDigest {
  /// Lower-case hexadecimal; a random value when the executable cannot be read, so that nothing is reused then.
  /// Complexity: reads the executable once per process, a fraction of a second.
  package static let current: String = {
    guard let file = FileHandle(forReadingAtPath: "/proc/self/exe") else { return Identifier.generate().description }
    defer { try? file.close() }
    var hash = SHA256()
    while let data = try? file.read(upToCount: 4 << 20), !data.isEmpty { hash.update(data: data) }
    return hash.finalize().hexadecimal
  }()
}
