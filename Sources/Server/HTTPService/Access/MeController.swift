import API
import Hummingbird
import Inputs
import Jobs

/// `/v1/me`: who asks, and what that lets them do.
struct MeController: Sendable {
  let uploads: any UploadStore
  let space: FreeSpace
  let visibility: Visibility
  let limits: MeDocument.Limits

  /// `GET /v1/me`.
  @Sendable func get(_ request: Request, context: ServiceContext) async throws -> Response {
    let token = context.principal.token
    var stored: Int?
    if let token { stored = try await uploads.storedBytes(of: token.name) }
    let free = try await FileThreads.run { [space] in try space.room(for: 0) }
    return try JSONBody.response(
      MeDocument(
        token: token, visibility: visibility, storedBytes: stored, freeBytes: free, limits: limits))
  }
}

/// What `/v1/me` answers. Absent values are null, so that every field is there.
struct MeDocument: Encodable, Sendable {
  /// The settings that limit the caller; nil is no limit.
  struct Limits: Encodable, Sendable {
    let maxUpload: Int
    let queueLimit: Int?
    let tokenQueueLimit: Int?
    let tokenRunningLimit: Int?
    let tokenStorageLimit: Int?

    private enum CodingKeys: String, CodingKey {
      case maxUpload, queueLimit, tokenQueueLimit, tokenRunningLimit, tokenStorageLimit
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(maxUpload, forKey: .maxUpload)
      try container.encode(queueLimit, forKey: .queueLimit)
      try container.encode(tokenQueueLimit, forKey: .tokenQueueLimit)
      try container.encode(tokenRunningLimit, forKey: .tokenRunningLimit)
      try container.encode(tokenStorageLimit, forKey: .tokenStorageLimit)
    }
  }

  /// Nil while access is off.
  let token: AccessToken?
  let visibility: Visibility
  let storedBytes: Int?
  let freeBytes: Int
  let limits: Limits

  private enum CodingKeys: String, CodingKey {
    case token, scopes, team, expiresAt, visibility, storedBytes, freeBytes, limits
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    let scopes = token.map { AccessScope.allCases.filter($0.scopes.contains) } ?? AccessScope.allCases
    try container.encode(token?.name, forKey: .token)
    try container.encode(scopes.map(\.rawValue), forKey: .scopes)
    try container.encode(token?.team, forKey: .team)
    try container.encode(token?.expiresAt, forKey: .expiresAt)
    try container.encode(visibility.rawValue, forKey: .visibility)
    try container.encode(storedBytes, forKey: .storedBytes)
    try container.encode(freeBytes, forKey: .freeBytes)
    try container.encode(limits, forKey: .limits)
  }
}
