/// One side of a conversion: the Hugging Face layout or the layout of a Model Zoo release.
package enum Format: Sendable, Hashable, CustomStringConvertible {
  /// The layout that Hugging Face transformers writes.
  case hf
  /// The layout of one Cerebras Model Zoo release.
  case cs(Release)

  /// Reads `hf`, `cs-<major>.<minor>` or that with a variant such as `-dpo`; nil for anything else.
  package init?(_ text: String) {
    if text == "hf" {
      self = .hf
    } else if let release = Release(text) {
      self = .cs(release)
    } else {
      return nil
    }
  }

  /// What a request may say for the newest release of its model.
  static let newestKeyword = "cs-current"

  /// Reads a target: a format, or `cs-current` for the newest release that is known.
  package init?(target text: String) {
    self.init(text == Self.newestKeyword ? Release.current.description : text)
  }

  /// True for a Model Zoo release.
  package var isCS: Bool { self != .hf }

  /// The name that `--src-fmt` and `--tgt-fmt` take.
  package var description: String {
    switch self {
    case .hf: "hf"
    case .cs(let release): release.description
    }
  }
}

/// A Model Zoo release, compared as two integers: cs-2.10 comes after cs-2.9. One model has variants of a release.
package struct Release: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// A layout that one release has besides its own, for training that wraps a model.
  package enum Variant: String, Sendable, Hashable, CaseIterable {
    /// The checkpoint of a plain model, which direct preference optimisation starts from.
    case noDPO = "no-dpo"
    /// Policy and reference model of direct preference optimisation.
    case dpo
  }

  /// The number before the dot.
  let major: Int
  /// The number after the dot.
  let minor: Int
  /// The variant; nil for the release's own layout.
  package let variant: Variant?

  /// A release by its two numbers.
  package init(_ major: Int, _ minor: Int, _ variant: Variant? = nil) {
    self.major = major
    self.minor = minor
    self.variant = variant
  }

  /// Reads `cs-1.8` or `cs-2.9-dpo`; nil unless the text is `cs-`, digits, a dot, digits without leading zeros, and
  /// perhaps a dash and a variant.
  package init?(_ text: String) {
    guard text.hasPrefix("cs-") else { return nil }
    let words = text.dropFirst(3).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let parts = words[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
    let variant = words.count == 2 ? Variant(rawValue: String(words[1])) : nil
    self.init(major, minor, variant)
    guard text == description else { return nil }
  }

  /// Older releases come first; of one release, its own layout, then `no-dpo`, then `dpo`.
  package static func < (left: Release, right: Release) -> Bool {
    (left.major, left.minor, left.rank) < (right.major, right.minor, right.rank)
  }

  private var rank: Int {
    switch variant {
    case nil: 0
    case .noDPO: 1
    case .dpo: 2
    }
  }

  /// The release without its variant.
  package var plain: Release { Release(major, minor) }

  /// The name that `--src-fmt` and `--tgt-fmt` take.
  package var description: String { "cs-\(major).\(minor)\(variant.map { "-\($0.rawValue)" } ?? "")" }

  /// The newest release that is known.
  package static let current = Release(2, 10)

  /// Every release that is known, oldest first.
  package static let all: [Release] =
    (6...9).map { Release(1, $0) } + (0...10).map { Release(2, $0) }
}
