import API
import ArgumentParser
import Foundation
import Jobs
import Logging
import SQLiteStore
import SystemPackage

/// `zooport token`: who may use a service. Works on the data folder, with or without a service that runs on it.
struct TokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token",
    abstract: "Make, list and revoke access tokens of a service.",
    discussion: """
      A change holds from the next request on. As soon as the first token exists, everything under /v1 and /metrics needs \
      one, for good. Clients send it as `Authorization: Bearer zpt_...`.
      """,
    subcommands: [Create.self, List.self, Revoke.self])

  /// The data folder, as `serve` finds it.
  struct Folder: ParsableArguments {
    @Option(help: ServeCommand.help("config")) var config: String?
    @Option(help: ServeCommand.help("data-dir")) var dataDir: String?

    /// Opens the tokens. With `creates` a new folder gets its database, and an older schema is brought up to date if no
    /// service holds the folder.
    func open(creates: Bool = false) throws -> any TokenStore {
      let settings: Settings
      do {
        settings = try Settings(
          flags: ["config": config, "data-dir": dataDir].compactMapValues { $0 },
          environment: ProcessInfo.processInfo.environment)
      } catch {
        throw ValidationError(error.description)
      }
      let path = settings.dataFolder.appending("zooport.sqlite").string
      guard creates else {
        guard access(path, R_OK | W_OK) == 0 else {
          throw ValidationError(
            "there is no data of a service in \(settings.dataFolder); name its folder with --data-dir")
        }
        return try DataFolder(root: settings.dataFolder).openDatabase(migrates: false).stores.tokens
      }
      let data = try DataFolder(root: settings.dataFolder)
      // Held while the schema may change: a service of another version must not run on it.
      let lock = try? FolderLock(path: data.lock)
      return try withExtendedLifetime(lock) {
        try data.openDatabase(migrates: lock != nil).stores.tokens
      }
    }
  }

  /// Writes the audit line of a change to standard error, with the account that made it.
  private static func audit(_ action: AuditAction, _ token: AccessToken) {
    Audit.ofCommand(
      action, "tokens/\(token.id)",
      metadata: ["name": "\(token.name)", "scopes": "\(token.scopeList)", "team": "\(token.team ?? "")"])
  }

  /// `zooport token create NAME`.
  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a token and print it, once; only its hash is kept.",
      discussion: """
        Jobs and uploads belong to the name. To replace a token, revoke it and make another one of the same name: it sees \
        what the old one saw.
        """)

    @Argument(help: "Who gets it: a person or a program. It must have \(TokenName.rule).")
    var name: String
    @Option(help: "Comma-separated: submit, read, metrics, admin.") var scope = "submit,read"
    @Option(help: "The team that shares jobs under --visibility team.") var team: String?
    @Option(help: "A time such as 12h, 90d or 52w, or a day such as 2030-01-31 (UTC); otherwise it never expires.")
    var expires: String?
    @OptionGroup var folder: Folder

    func run() throws {
      for given in [name, team].compactMap({ $0 }) where !TokenName.isValid(given) {
        throw ValidationError("\(given) is no name for a token or a team; it must have \(TokenName.rule)")
      }
      let names = scope.split(separator: ",").map(\.trimmingSpaces)
      let scopes = Set(names.compactMap { AccessScope(rawValue: String($0)) })
      guard !scopes.isEmpty, scopes.count == Set(names).count else {
        let all = AccessScope.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("--scope is \(scope), but must be one or more of \(all)")
      }
      let now = Timestamp.now
      let end = try expires.map { text in
        guard let end = TokenExpiry.moment(text, after: now) else {
          throw ValidationError("--expires is \(text), but must be a time such as 12h, 90d or 52w, or a later day")
        }
        return end
      }
      let secret = TokenSecret.generate()
      let token = AccessToken(
        id: .generate(at: now), name: name, scopes: scopes, team: team, createdAt: now, expiresAt: end)
      do {
        try folder.open(creates: true).insert(token, digest: secret.digest)
      } catch TokenStoreError.nameTaken {
        throw ValidationError("there is a token called \(name); revoke it first, or choose another name")
      }
      TokenCommand.audit(.tokenCreate, token)
      print(secret.text)
    }
  }

  /// `zooport token list`.
  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List all tokens, revoked ones too.")

    @OptionGroup var folder: Folder

    func run() throws {
      let now = Timestamp.now
      var rows = [["NAME", "SCOPES", "TEAM", "STATE", "CREATED", "EXPIRES", "LAST USED", "ID"]]
      for token in try folder.open().tokens() {
        let state = token.revokedAt != nil ? "revoked" : token.refusal(at: now) != nil ? "expired" : "valid"
        rows.append([
          token.name, token.scopeList, token.team ?? "-", state, token.createdAt.text, token.expiresAt?.text ?? "never",
          token.lastUsedAt?.text ?? "never", token.id.description,
        ])
      }
      let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
      for row in rows {
        print(
          zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
            .trimmingSpaces)
      }
    }
  }

  /// `zooport token revoke NAME|ID`.
  struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Refuse a token from the next request on.")

    @Argument(help: "The name or the id of the token.") var token: String
    @OptionGroup var folder: Folder

    func run() throws {
      guard let revoked = try folder.open().revoke(token, at: .now) else {
        throw ValidationError("there is no valid token with the name or id \(token)")
      }
      TokenCommand.audit(.tokenRevoke, revoked)
    }
  }
}

extension AccessToken {
  /// The scopes as they are written on the command line.
  fileprivate var scopeList: String { scopes.map(\.rawValue).sorted().joined(separator: ",") }
}
