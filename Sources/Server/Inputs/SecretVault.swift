import Core
import Crypto
import Foundation
package import SystemPackage

/// A secret of a submission as a job keeps it in the database: AES-256-GCM, so that neither the database nor a copy of it
/// shows it.
package struct SealedSecret: Sendable, Hashable, Codable {
  /// Nonce, ciphertext and authentication tag.
  let box: Data

  package init(from decoder: any Decoder) throws { box = try decoder.singleValueContainer().decode(Data.self) }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(box)
  }

  fileprivate init(box: Data) { self.box = box }
}

/// Seals and opens secrets with a key that lies beside the database in a file that only the service reads.
package struct SecretVault: Sendable {
  private let key: SymmetricKey

  private static let keyBytes = 32

  /// A vault whose key is never stored; for the command line and for plans, which keep nothing.
  package init() { key = SymmetricKey(size: .bits256) }

  /// Reads the key, or makes one. Throws `Errno`, or `Unusable` when the file holds no key.
  ///
  /// A new key is whole or not there, also after a power cut. An empty file is what a crash of former versions left; it
  /// never sealed anything.
  package init(keyFile path: FilePath) throws {
    if let data = FileManager.default.contents(atPath: path.string), !data.isEmpty {
      guard data.count == Self.keyBytes else { throw Unusable(path: path) }
      key = SymmetricKey(data: data)
      return
    }
    key = SymmetricKey(size: .bits256)
    let hidden = FilePath(path.string + ".new")
    let file = try FileDescriptor.open(
      hidden, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite])
    try file.closeAfter {
      _ = try key.withUnsafeBytes { try file.writeAll($0) }
      guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
    }
    guard rename(hidden.string, path.string) == 0 else { throw Errno(rawValue: errno) }
    try path.removingLastComponent().synchronizeFolder()
  }

  /// The file is no key of this service.
  package struct Unusable: Error, CustomStringConvertible {
    package let path: FilePath

    package init(path: FilePath) {
      self.path = path
    }
    package var description: String {
      "\(path) holds no key; remove it, and submit jobs with a token or a webhook again"
    }
  }

  /// Signs a text for one purpose, in hexadecimal: HMAC-SHA256 with a key that is derived for that purpose.
  package func signature(of text: String, for purpose: String) -> String {
    Data(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key(for: purpose))).hexadecimal
  }

  /// True when `signature` made it. The time that it takes does not depend on where two signatures differ.
  package func isSignature(_ signature: some StringProtocol, of text: String, for purpose: String) -> Bool {
    let own = Array(self.signature(of: text, for: purpose).utf8)
    let other = Array(signature.utf8)
    var difference: UInt8 = 0
    for (left, right) in zip(own, other) { difference |= left ^ right }
    return difference == 0 && own.count == other.count
  }

  private func key(for purpose: String) -> SymmetricKey {
    HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Data(purpose.utf8), outputByteCount: Self.keyBytes)
  }

  /// Throws `CryptoKitError`.
  package func seal(_ secret: String) throws -> SealedSecret {
    let box = try AES.GCM.seal(Data(secret.utf8), using: key)
    return SealedSecret(box: box.combined ?? Data())
  }

  /// Nil when the key is another one than that which sealed it.
  package func open(_ sealed: SealedSecret) -> String? {
    guard let box = try? AES.GCM.SealedBox(combined: sealed.box), let data = try? AES.GCM.open(box, using: key) else {
      return nil
    }
    return String(decoding: data, as: UTF8.self)
  }
}
