/// The releases of a model, oldest first, and what each changed. Models share ladders, so that a change is declared once.
///
///     ladder: .gpt2.from(Release(1, 7))
struct Ladder: Sendable {
  let oldest: Release
  /// The steps to the later ones.
  let revisions: [Revision]

  /// A ladder. Releases from the oldest to the newest that is known without a revision of their own changed nothing.
  init(from oldest: Release, to newest: Release = .current, _ revisions: [Revision]) {
    let named = Dictionary(uniqueKeysWithValues: revisions.map { ($0.release, $0) })
    let plain = Release.all.filter { $0 > oldest && $0 <= newest && named[$0] == nil }.map { Revision($0) }
    self.oldest = oldest
    self.revisions = (revisions.filter { $0.release > oldest } + plain).sorted { $0.release < $1.release }
  }

  /// A ladder of releases that need not be known by themselves, in ascending order.
  init(oldest: Release, revisions: [Revision]) {
    self.oldest = oldest
    self.revisions = revisions
  }

  var releases: [Release] { [oldest] + revisions.map(\.release) }

  /// The part that begins with a release of the ladder.
  func from(_ release: Release) -> Ladder {
    Ladder(oldest: release, revisions: revisions.filter { $0.release > release })
  }
}

/// The pairs of releases between which the vendor's tools convert; they know no longer walks.
struct OfferedUpgrades: Sendable, Hashable {
  /// Steps from one release to the next are offered within this range.
  let steps: ClosedRange<Release>?
  /// Every pair within one of these ranges is offered.
  let ranges: [ClosedRange<Release>]
  /// A release that is offered with every release of a range.
  struct Hub: Sendable, Hashable {
    let release: Release
    /// The other releases.
    let others: ClosedRange<Release>
  }

  /// Every pair of one of these releases and one of its range is offered.
  let hubs: [Hub]

  /// No pair.
  static let none = OfferedUpgrades()

  /// Steps up to the newest release that the vendor's tool upgrades to, 2.5.
  static func steps(
    from oldest: Release, every ranges: ClosedRange<Release>...,
    hub hubs: (release: Release, others: ClosedRange<Release>)...
  ) -> OfferedUpgrades {
    OfferedUpgrades(
      steps: oldest...Release(2, 5), ranges: ranges,
      hubs: hubs.map { Hub(release: $0.release, others: $0.others) })
  }

  /// Every pair of a range.
  static func between(_ range: ClosedRange<Release>) -> OfferedUpgrades { OfferedUpgrades(ranges: [range]) }

  private init(
    steps: ClosedRange<Release>? = nil, ranges: [ClosedRange<Release>] = [], hubs: [Hub] = []
  ) {
    self.steps = steps
    self.ranges = ranges
    self.hubs = hubs
  }

  /// True when the vendor's tools list the pair, in either order, of a model with these releases.
  func contains(_ first: Release, _ second: Release, of releases: [Release]) -> Bool {
    let pair = [first, second].sorted()
    if ranges.contains(where: { $0.contains(pair[0]) && $0.contains(pair[1]) }) { return true }
    if hubs.contains(where: { pair[0] == $0.release && $0.others.contains(pair[1]) }) { return true }
    guard let steps, steps.contains(pair[0]), steps.contains(pair[1]),
      let position = releases.firstIndex(of: pair[0]), position + 1 < releases.count
    else { return false }
    return releases[position + 1] == pair[1]
  }
}
