import Foundation
import GRDB
import Logging
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("A data folder and its database")
struct FolderIdentityTests {
  private func write(_ data: DataFolder, _ path: String) throws {
    let file = data.root.appending(path)
    try FileManager.default.createDirectory(
      atPath: file.removingLastComponent().string, withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: file.string))
  }

  private func removeDatabase(of data: DataFolder) throws {
    for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: data.database.string + suffix) }
  }

  @Test("A new folder gets a database and a name, and opens again")
  func opens() throws {
    let folder = try TemporaryFolder()
    let data = try DataFolder(root: folder.path)
    do { _ = try data.openDatabase() }
    let id = try String(contentsOfFile: data.identity.string, encoding: .utf8)
    #expect(id.count > 30)
    _ = try data.openDatabase()
    _ = try data.openDatabase(migrates: false)
    #expect(try String(contentsOfFile: data.identity.string, encoding: .utf8) == id)
  }

  @Test(
    "Files without a database are refused and stay",
    arguments: ["uploads/a/config.json", "outputs/a/model.bin", "partial/a/model.bin", "folder.id"])
  func lost(_ path: String) throws {
    let folder = try TemporaryFolder()
    let data = try DataFolder(root: folder.path)
    try write(data, path)
    let error = #expect(throws: DataFolder.LostDatabase.self) { try data.openDatabase() }
    #expect(error?.description.contains("no zooport.sqlite. Restore the database from a backup") == true)
    #expect(FileManager.default.fileExists(atPath: data.root.appending(path).string))
    #expect(!FileManager.default.fileExists(atPath: data.database.string))
  }

  @Test("A service that asked for tokens does not start without its database")
  func lostWithTokens() throws {
    let folder = try TemporaryFolder()
    var settings = try Settings(flags: [:], environment: [:])
    settings.dataFolder = folder.path
    settings.requiresTokens = true
    func start() throws {
      _ = try App(
        settings: settings, runner: CoreRunner(), listings: [],
        logger: Logger(label: "") { _ in SwiftLogNoOpLogHandler() })
    }
    try start()
    try removeDatabase(of: try DataFolder(root: folder.path))
    settings.requiresTokens = nil
    #expect(throws: DataFolder.LostDatabase.self) { try start() }
  }

  @Test("The database of another folder is refused, a backup of the same one is not")
  func foreign() throws {
    let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
    let (own, other) = (try DataFolder(root: first.path), try DataFolder(root: second.path))
    do { _ = (try own.openDatabase(), try other.openDatabase()) }
    try removeDatabase(of: own)
    let backup = try Database(path: other.database.string)
    try backup.pool.backup(to: try DatabaseQueue(path: own.database.string))
    let error = #expect(throws: DataFolder.ForeignDatabase.self) { try own.openDatabase() }
    #expect(error?.description.contains("remove folder.id") == true)
    try FileManager.default.removeItem(atPath: own.identity.string)
    _ = try own.openDatabase()
    #expect(
      try String(contentsOfFile: own.identity.string, encoding: .utf8)
        == String(contentsOfFile: other.identity.string, encoding: .utf8))
  }

  @Test("A repair that lost the name takes that of the folder")
  func repaired() throws {
    let folder = try TemporaryFolder()
    let data = try DataFolder(root: folder.path)
    let database = try data.openDatabase()
    try database.pool.write { try $0.execute(sql: "DELETE FROM folder") }
    let id = try String(contentsOfFile: data.identity.string, encoding: .utf8)
    let again = try data.openDatabase()
    #expect(try again.pool.read { try String.fetchOne($0, sql: "SELECT id FROM folder") }.map { $0 + "\n" } == id)
  }

  @Test("The folder remembers that tokens are required, until it is taken back")
  func remembersTokens() throws {
    let folder = try TemporaryFolder()
    let database = try DataFolder(root: folder.path).openDatabase()
    #expect(try !database.requiresTokens(nil))
    #expect(try database.requiresTokens(true))
    #expect(try database.requiresTokens(nil))
    #expect(try !database.requiresTokens(false))
    #expect(try !database.requiresTokens(nil))
  }
}
