import Jobs

/// What a route asks of who calls it. Every row of the table in Routes.swift names one, so that none can forget it.
enum RouteAccess: Sendable, Hashable {
  /// Anybody, also where tokens are required: says nothing about jobs.
  case open
  /// A token with at least one of these scopes. A token with `admin` has all of them.
  case anyOf(Set<AccessScope>)

  static let submit = RouteAccess.anyOf([.submit])
  static let read = RouteAccess.anyOf([.read])
  /// Any token, whatever it may do.
  static let anyToken = RouteAccess.anyOf(Set(AccessScope.allCases))
  static let metrics = RouteAccess.anyOf([.metrics])
  /// A client that sends a file must be able to ask how far it is.
  static let submitOrRead = RouteAccess.anyOf([.submit, .read])
}
