import API

/// Who makes a request, and what that lets them see and change.
package struct Principal: Sendable {
  /// Nil for everybody while access control is off, and on routes that are open.
  package let token: AccessToken?
  /// What may be seen.
  package let reach: Reach
  /// What may be changed: never more than may be seen.
  private let domain: Reach

  /// Access control is off: everybody may do everything.
  package static let anybody = Principal(token: nil, reach: .everything, domain: .everything)

  /// Who calls an open route, where it does not matter. Sees nothing: no record has an empty owner.
  package static let nobody = Principal(token: nil, reach: .own(""), domain: .own(""))

  private init(token: AccessToken?, reach: Reach, domain: Reach) {
    self.token = token
    self.reach = reach
    self.domain = domain
  }

  /// The bearer of a token.
  package init(_ token: AccessToken, visibility: Visibility) {
    let own = Reach.own(token.name)
    let team = token.team.map { Reach.team(owner: token.name, team: $0) } ?? own
    if token.scopes.contains(.admin) {
      self.init(token: token, reach: .everything, domain: .everything)
    } else {
      switch visibility {
      case .owner: self.init(token: token, reach: own, domain: own)
      case .team: self.init(token: token, reach: team, domain: team)
      case .all: self.init(token: token, reach: .everything, domain: team)
      }
    }
  }

  /// What a record that is made now belongs to.
  package var ownership: Ownership { Ownership(owner: token?.name, team: token?.team) }

  /// True when the record may be seen. Where it may not, the answer is that there is none.
  package func sees(_ ownership: Ownership) -> Bool { reach.includes(ownership) }

  /// True when the caller might send to an upload of this ownership.
  package func maySend(to ownership: Ownership) -> Bool {
    domain.includes(ownership) && token?.has(anyOf: [.submit]) ?? true
  }

  /// Throws `Fault` 403 when a record that may be seen may not be changed.
  package func requireChange(of what: String, _ ownership: Ownership) throws {
    guard !domain.includes(ownership) else { return }
    throw Fault(
      .forbidden,
      "\(what) belongs to \(ownership.owner ?? "nobody"); only the owner, the owner's team and a "
        + "token with the scope admin may change it")
  }
}
