import Foundation
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
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

  @Test("A crash while the key was made leaves no file that stops the service: the key is made anew")
  func interrupted() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("token.key")
    try Data().write(to: URL(filePath: path.string))
    try Data("ha".utf8).write(to: URL(filePath: path.string + ".new"))
    let sealed = try SecretVault(keyFile: path).seal("hf_secret")
    #expect(try SecretVault(keyFile: path).open(sealed) == "hf_secret")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path.string) == ["token.key"])
    #expect(try FileManager.default.attributesOfItem(atPath: path.string)[.size] as? Int == 32)
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
