import Foundation
import GRDB
import Inputs
package import Jobs
import SystemPackage

extension DataFolder {
  /// Opens the database of this folder. A new folder gets one.
  ///
  /// Throws `LostDatabase` when the folder was in use and its database is gone: a new one would know nothing of the files,
  /// which a start would sweep away, nor of the tokens that it asked for. Throws `ForeignDatabase` when the database
  /// belongs to another folder, and what `Database.init` throws.
  package func openDatabase(migrates: Bool = true) throws -> Database {
    if access(database.string, F_OK) != 0, let sign = signOfUse() { throw LostDatabase(root: root, sign: sign) }
    let opened = try Database(path: database.string, migrates: migrates)
    let known = try? String(contentsOfFile: identity.string, encoding: .utf8).trimmingCharacters(
      in: .whitespacesAndNewlines)
    let found = try opened.folderID(orElse: known)
    if let known, known != found { throw ForeignDatabase(root: root) }
    // A backup has no such file, nor has a folder of an earlier version: it becomes that of its database.
    if known == nil, migrates {
      try Data((found + "\n").utf8).write(to: URL(filePath: identity.string), options: .atomic)
      try root.synchronizeFolder()
    }
    return opened
  }

  /// What shows that a service has kept something here; nil for a new folder.
  private func signOfUse() -> String? {
    if access(identity.string, F_OK) == 0 { return "folder.id" }
    return keepers.first { folder in
      (try? FileManager.default.contentsOfDirectory(atPath: folder.string))?.isEmpty == false
    }?.lastComponent?.string
  }

  /// The folder has no database any more.
  struct LostDatabase: Error, CustomStringConvertible {
    let root: FilePath
    let sign: String

    var description: String {
      "\(root) has \(sign) of a service but no zooport.sqlite. Restore the database from a backup; or name another --data-dir; "
        + "or, to begin anew without its jobs, files and tokens, move the folder away"
    }
  }

  /// The database is that of another folder.
  struct ForeignDatabase: Error, CustomStringConvertible {
    let root: FilePath

    var description: String {
      "zooport.sqlite in \(root) belongs to another data folder, and the files here would be lost with it. Restore the "
        + "database of this folder; or, if the files belong to this database, remove folder.id"
    }
  }
}

extension Database {
  /// All stores of the service, which are one database.
  package var stores: Stores {
    let jobs = SQLiteJobStore(database: self)
    return Stores(
      jobs: jobs, webhooks: jobs, uploads: SQLiteUploadStore(database: self),
      partials: SQLitePartialUploadStore(database: self), tokens: SQLiteTokenStore(database: self))
  }

  /// The identity of the folder that the database belongs to. Where a repair has lost it, it becomes `known`, or a new one.
  fileprivate func folderID(orElse known: String?) throws -> String {
    if let id = try pool.read({ try String.fetchOne($0, sql: Statements.folderID) }) { return id }
    let id = known ?? UUID().uuidString
    try pool.write { try $0.execute(sql: Statements.insertFolder, arguments: [id]) }
    return id
  }

  /// Whether tokens are required even while none exists, as the folder remembers. `wish` changes it.
  package func requiresTokens(_ wish: Bool?) throws -> Bool {
    try pool.write { db in
      if let wish { try db.execute(sql: Statements.setRequiresTokens, arguments: [wish]) }
      return try Bool.fetchOne(db, sql: Statements.requiresTokens) ?? false
    }
  }
}
