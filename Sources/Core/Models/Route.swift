/// A walk from one format of a model to another: the hops, in order.
package struct Route: Sendable {
  /// One step, in one direction.
  enum Hop: Sendable {
    /// Between Hugging Face and a release.
    case bridge(Crossing, from: Side)
    /// Between a release and the one before it.
    case revision(Revision, from: Side)

    /// The rules between the two layouts.
    var tensors: [Rule] {
      switch self {
      case .bridge(let crossing, _): crossing.tensors
      case .revision(let revision, _): revision.tensors
      }
    }

    /// The config rules between them.
    var config: [ConfigRule] {
      switch self {
      case .bridge(let crossing, _): crossing.config
      case .revision(let revision, _): revision.config
      }
    }

    /// The side that is converted from.
    var from: Side {
      switch self {
      case .bridge(_, let side), .revision(_, let side): side
      }
    }

    /// What becomes of the prefix `model.` that keys of the Model Zoo may carry.
    var prefix: PrefixPolicy {
      switch self {
      case .bridge(_, let side): side == .cs ? .taken : .none
      case .revision(let revision, let side):
        side.other == revision.bareSide || side == .newer && revision.coversAllKeys ? .taken : .carried
      }
    }
  }

  /// What a hop does with the prefix `model.`, which files of the Model Zoo put before every key or not, depending on
  /// which base class the model was trained with.
  enum PrefixPolicy: Sendable, Hashable {
    /// Keys have none.
    case none
    /// It is taken off.
    case taken
    /// Rules do not see it; what is written has it where the source had it.
    case carried
  }

  package let model: Model
  package let source: Format
  package let target: Format
  let hops: [Hop]
  /// What is folded into the weights before the step to Hugging Face.
  let folds: [Fold]
  /// What params files call the model.
  let zooName: String
  /// How the Hugging Face side keeps a composed model.
  package let layout: HuggingFaceLayout

  /// The walk along the model's ladder; nil when a format is not on it or source and target are the same, and when the
  /// model has no such layout in Hugging Face.
  ///
  /// `name` is the name of the model that the request used, which decides what params files call it.
  package init?(
    model: Model, named name: String? = nil, source: Format, target: Format, layout: HuggingFaceLayout = .folders
  ) {
    guard source != target, model.formats.contains(source), model.formats.contains(target) else { return nil }
    self.model = model
    self.source = source
    self.target = target
    self.layout = layout
    let releases = model.releases
    func position(_ release: Release) -> Int? { releases.firstIndex(of: release) }
    func walk(_ start: Int, _ end: Int) -> [Hop] {
      start < end
        ? (start..<end).map { .revision(model.ladder.revisions[$0], from: .older) }
        : (end..<start).reversed().map { .revision(model.ladder.revisions[$0], from: .newer) }
    }
    zooName = model.zooName(requested: name ?? model.name)
    switch (source, target) {
    case (.cs(let first), .cs(let second)):
      guard let start = position(first), let end = position(second) else { return nil }
      hops = walk(start, end)
      folds = []
    case (.hf, .cs(let release)), (.cs(let release), .hf):
      guard let far = position(release), let (bridge, near) = Self.nearestBridge(of: model, layout, to: far) else {
        return nil
      }
      let crossing = bridge.crossing(at: releases[near], zooName: zooName)
      if source == .hf {
        hops = [.bridge(crossing, from: .hf)] + walk(near, far)
        folds = []
      } else {
        hops = walk(far, near) + [.bridge(crossing, from: .cs)]
        folds = bridge.folds(at: crossing.release)
      }
    case (.hf, .hf): return nil
    }
  }

  /// The bridge with the fewest steps to a release, and the position of the release that it is crossed at.
  private static func nearestBridge(
    of model: Model, _ layout: HuggingFaceLayout, to far: Int
  ) -> (bridge: Bridge, near: Int)? {
    model.bridges(layout).compactMap { bridge -> (bridge: Bridge, near: Int)? in
      let covered = model.releases.indices.filter { bridge.covers.contains(model.releases[$0]) }
      return covered.min { abs($0 - far) < abs($1 - far) }.map { (bridge, $0) }
    }.min { abs($0.near - far) < abs($1.near - far) }
  }
}

extension Route {
  /// The class of transformers on this way; nil between two releases.
  var hfClass: String? { crossing?.hfClass }

  /// The rules between Hugging Face and the Model Zoo; nil between two releases.
  var crossing: Crossing? {
    for case .bridge(let crossing, _) in hops { return crossing }
    return nil
  }

  /// The components that are a folder each in a format; empty where a checkpoint is one file, or shards of one.
  func folders(in format: Format) -> [String] { format == .hf ? crossing?.folders ?? [] : [] }
}

extension Model {
  /// A prefix that every key of a Model Zoo checkpoint may carry.
  static let optionalPrefix = "model."
}
