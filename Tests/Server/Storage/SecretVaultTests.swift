import Foundation
import SystemPackage
import Testing

@testable import Server

@Suite("Secret vault")
struct SecretVaultTests {
  @Test("A sealed secret opens with its key alone, and hides what it holds")
  func sealing() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("token.key")
    let sealed = try SecretVault(keyFile: path).seal("hf_secret")
    #expect(try SecretVault(keyFile: path).open(sealed) == "hf_secret")
    #expect(SecretVault().open(sealed) == nil)
    #expect(!sealed.box.contains(Data("secret".utf8)))
    let mode = try FileManager.default.attributesOfItem(atPath: path.string)[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }

  @Test("A file that holds no key is refused by name")
  func unusable() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("token.key")
    try Data("short".utf8).write(to: URL(filePath: path.string))
    let error = try #require(throws: SecretVault.Unusable.self) { _ = try SecretVault(keyFile: path) }
    #expect(error.description.contains(path.string))
  }
}
