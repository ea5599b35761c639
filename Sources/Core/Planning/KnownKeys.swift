/// Which keys belong to a model in one of its formats, whatever the config says.
///
/// The way to another release may let any key pass, so keys are tried on the way to the layout that is furthest from the
/// source: a key is known when a rule on that way claims it.
struct KnownKeys: Sendable {
  private struct Stage {
    let claims: PatternIndex
    let passesOthers: Bool
    /// Keys that are known when those that they are copies of are.
    let copies: [(key: KeyPattern, original: KeyPattern)]
  }

  private let stages: [Stage]
  /// The prefix that keys of the Model Zoo may carry. It is the model's own and no trainer's.
  private let optionalPrefix: String?
  /// The component whose keys are asked for, with a dot; empty for the whole model.
  private var component = ""

  /// The keys of a model in a format; nil when the format leads nowhere, so that nothing is known of it.
  init?(_ model: Model, in source: Format, layout: HuggingFaceLayout = .folders) {
    guard let probe = Self.probe(model, from: source, layout) else { return nil }
    optionalPrefix = source.isCS ? Model.optionalPrefix : nil
    stages = probe.hops.map { hop in
      let passes = if case .revision(let revision, _) = hop { !revision.coversAllKeys } else { false }
      var claims: [(PatternIndex.Slot, KeyPattern)] = []
      var copies: [(key: KeyPattern, original: KeyPattern)] = []
      for (number, rule) in hop.tensors.enumerated() {
        if case .make(.copy(_, let original)) = rule.action {
          copies += rule.claims(hop.from).map { ($0, original) }
        } else {
          claims += rule.claims(hop.from).enumerated().map { (PatternIndex.Slot(rule: number, position: $0), $1) }
        }
      }
      return Stage(claims: PatternIndex(claims), passesOthers: passes, copies: copies)
    }
  }

  /// The route to the layout that is furthest from the source; nil when there is no other layout.
  static func probe(_ model: Model, from source: Format, _ layout: HuggingFaceLayout = .folders) -> Route? {
    let furthest: Format? =
      if source == .hf {
        model.bridges(layout).last.map { .cs($0.covers.upperBound) }
      } else if !model.bridges.isEmpty {
        .hf
      } else {
        (source == .cs(model.ladder.oldest) ? model.releases.last : model.ladder.oldest).map(Format.cs)
      }
    return furthest.flatMap {
      Route(model: model, source: source, target: $0, layout: source == .hf ? layout : .folders)
    }
  }

  /// The keys of one component, as its own checkpoint has them.
  func inside(_ component: String) -> KnownKeys {
    var known = self
    known.component = "\(component)."
    return known
  }

  /// True for a key of the model. Complexity: O(segments), once for each step of the way.
  func contains(_ key: some StringProtocol) -> Bool {
    if claims(String(key)) { return true }
    guard let optionalPrefix, key.hasPrefix(optionalPrefix) else { return false }
    return claims(String(key.dropFirst(optionalPrefix.count)))
  }

  /// True for a key of the model without the prefix that some release takes. Complexity as `contains`.
  func claims(_ key: String) -> Bool { claims(whole: component + key) }

  private func claims(whole key: String) -> Bool {
    let segments = key.split(separator: ".", omittingEmptySubsequences: false)
    for stage in stages {
      if !stage.claims.matches(segments).isEmpty { return true }
      for copy in stage.copies {
        if let binding = copy.key.match(segments) { return claims(whole: copy.original.fill(binding)) }
      }
      if !stage.passesOthers { return false }
    }
    return false
  }
}
