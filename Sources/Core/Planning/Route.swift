/// A walk from one format of a model to another: the hops, in order.
public struct Route: Sendable {
  /// One step, in one direction.
  public enum Hop: Sendable {
    /// Between Hugging Face and the release of the bridge.
    case bridge(Bridge, from: Side)
    /// Between a release and the one before it.
    case revision(Revision, from: Side)
  }

  /// The model.
  public let model: Model
  /// From.
  public let source: Format
  /// To.
  public let target: Format
  /// The steps.
  public let hops: [Hop]

  /// The walk along the model's line of releases; nil when a format is not on it or source and target are the same.
  public init?(model: Model, source: Format, target: Format) {
    guard source != target, model.formats.contains(source), model.formats.contains(target) else { return nil }
    self.model = model
    self.source = source
    self.target = target
    let releases = model.releases
    func position(_ format: Format) -> Int? {
      if case .cs(let release) = format { releases.firstIndex(of: release) } else { nil }
    }
    var bridge: Bridge?
    if source == .hf || target == .hf {
      guard let other = position(source) ?? position(target) else { return nil }
      func distance(_ bridge: Bridge) -> Int { abs((position(.cs(bridge.release)) ?? releases.count * 2) - other) }
      bridge = model.bridges.min { distance($0) < distance($1) }
    }
    guard let start = position(source) ?? bridge.flatMap({ position(.cs($0.release)) }),
      let end = position(target) ?? bridge.flatMap({ position(.cs($0.release)) })
    else { return nil }
    var hops: [Hop] = []
    if source == .hf, let bridge { hops.append(.bridge(bridge, from: .hf)) }
    if start < end {
      for index in start..<end { hops.append(.revision(model.revisions[index], from: .older)) }
    } else {
      for index in (end..<start).reversed() { hops.append(.revision(model.revisions[index], from: .newer)) }
    }
    if target == .hf, let bridge { hops.append(.bridge(bridge, from: .cs)) }
    self.hops = hops
  }

  /// The prefix that every key of the source may carry.
  public var optionalPrefix: String? {
    if case .cs(let release) = source { model.optionalPrefix(of: release) } else { nil }
  }
}

extension Route.Hop {
  /// True when an optional prefix of the keys outlives this step.
  var keepsPrefix: Bool {
    if case .revision(let revision, from: .newer) = self { revision.keepsPrefix } else { false }
  }
}
