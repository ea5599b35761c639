/// The releases of a model, oldest first, and what each changed. Models share ladders, so that a change is declared once.
///
///     ladder: .gpt2.from(Release(1, 7))
public struct Ladder: Sendable {
  /// The oldest release.
  public let oldest: Release
  /// The steps to the later ones.
  public let revisions: [Revision]

  /// A ladder. Releases from the oldest to the newest that is known without a revision of their own changed nothing.
  public init(from oldest: Release, to newest: Release = .current, _ revisions: [Revision]) {
    let named = Dictionary(uniqueKeysWithValues: revisions.map { ($0.release, $0) })
    let plain = Release.all.filter { $0 > oldest && $0 <= newest && named[$0] == nil }.map { Revision($0) }
    self.oldest = oldest
    self.revisions = (revisions.filter { $0.release > oldest } + plain).sorted { $0.release < $1.release }
  }

  private init(oldest: Release, revisions: [Revision]) {
    self.oldest = oldest
    self.revisions = revisions
  }

  /// The releases.
  public var releases: [Release] { [oldest] + revisions.map(\.release) }

  /// The part that begins with a release of the ladder.
  public func from(_ release: Release) -> Ladder {
    Ladder(oldest: release, revisions: revisions.filter { $0.release > release })
  }
}

/// The pairs of releases between which the vendor's tools convert; they know no longer walks.
public struct OfferedUpgrades: Sendable, Hashable {
  /// Steps from one release to the next are offered within this range.
  public let steps: ClosedRange<Release>?
  /// Every pair within one of these ranges is offered.
  public let ranges: [ClosedRange<Release>]
  /// Every pair of this release and one of the range.
  public let hub: (release: Release, others: ClosedRange<Release>)?

  /// No pair.
  public static let none = OfferedUpgrades()

  /// Steps up to the newest release that the vendor's tool upgrades to, 2.5.
  public static func steps(
    from oldest: Release, every ranges: ClosedRange<Release>...,
    hub: (release: Release, others: ClosedRange<Release>)? = nil
  ) -> OfferedUpgrades { OfferedUpgrades(steps: oldest...Release(2, 5), ranges: ranges, hub: hub) }

  private init(
    steps: ClosedRange<Release>? = nil, ranges: [ClosedRange<Release>] = [],
    hub: (release: Release, others: ClosedRange<Release>)? = nil
  ) {
    self.steps = steps
    self.ranges = ranges
    self.hub = hub
  }

  /// True when the vendor's tools list the pair, in either order, of a model with these releases.
  public func contains(_ first: Release, _ second: Release, of releases: [Release]) -> Bool {
    let pair = [first, second].sorted()
    if ranges.contains(where: { $0.contains(pair[0]) && $0.contains(pair[1]) }) { return true }
    if let hub, pair[0] == hub.release, hub.others.contains(pair[1]) { return true }
    guard let steps, steps.contains(pair[0]), steps.contains(pair[1]),
      let position = releases.firstIndex(of: pair[0]), position + 1 < releases.count
    else { return false }
    return releases[position + 1] == pair[1]
  }

  /// Compares what is offered.
  public static func == (left: OfferedUpgrades, right: OfferedUpgrades) -> Bool {
    left.steps == right.steps && left.ranges == right.ranges && left.hub?.release == right.hub?.release
      && left.hub?.others == right.hub?.others
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(steps)
    hasher.combine(ranges)
  }
}
