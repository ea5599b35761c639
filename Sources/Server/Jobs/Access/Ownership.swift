/// Whom a job or an upload belongs to. Never changes after the record was made.
package struct Ownership: Sendable, Hashable {
  /// The name of the token that made it; nil when it was made without one.
  ///
  /// A name and not an id, so that the jobs of a token stay with the one that replaces it under the same name.
  package var owner: String?
  /// The team of that token, if it had one.
  package var team: String?

  package init(owner: String? = nil, team: String? = nil) {
    self.owner = owner
    self.team = team
  }

  /// Made while nobody had to say who they are.
  package static let nobody = Ownership()
}

/// Which jobs and uploads a token sees: a setting of the operator.
package enum Visibility: String, Sendable, CaseIterable {
  /// Its own.
  case owner
  /// Its own and those of its team.
  case team
  /// Everybody's. To change one, a token must still be the owner or of the owner's team.
  case all
}

/// The records that a query may answer; a store turns it into a condition.
package enum Reach: Sendable, Hashable {
  case everything
  case own(String)
  /// Those of an owner, and those of a team.
  case team(owner: String, team: String)

  /// True when a record with this ownership is within reach.
  func includes(_ ownership: Ownership) -> Bool {
    switch self {
    case .everything: true
    case .own(let owner): ownership.owner == owner
    case .team(let owner, let team): ownership.owner == owner || ownership.team == team
    }
  }
}
