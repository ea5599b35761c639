/// One side of a conversion: the Hugging Face layout or the layout of a Model Zoo release.
public enum Format: Sendable, Hashable, CustomStringConvertible {
  /// The layout that Hugging Face transformers writes.
  case hf
  /// The layout of one Cerebras Model Zoo release.
  case cs(Release)

  /// Reads `hf` or `cs-<major>.<minor>`; nil for anything else.
  public init?(_ text: String) {
    if text == "hf" {
      self = .hf
    } else if let release = Release(text) {
      self = .cs(release)
    } else {
      return nil
    }
  }

  /// True for a Model Zoo release.
  public var isCS: Bool { self != .hf }

  /// The name that `--src-fmt` and `--tgt-fmt` take.
  public var description: String {
    switch self {
    case .hf: "hf"
    case .cs(let release): release.description
    }
  }
}

/// A Model Zoo release, compared as two integers: cs-2.10 comes after cs-2.9.
public struct Release: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The number before the dot.
  public let major: Int
  /// The number after the dot.
  public let minor: Int

  /// A release by its two numbers.
  public init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// Reads `cs-1.8`; nil unless the text is `cs-`, digits, a dot and digits, without leading zeros.
  public init?(_ text: String) {
    guard text.hasPrefix("cs-") else { return nil }
    let parts = text.dropFirst(3).split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]),
      text == "cs-\(major).\(minor)"
    else { return nil }
    self.init(major, minor)
  }

  /// Older releases come first.
  public static func < (left: Release, right: Release) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }

  /// The name that `--src-fmt` and `--tgt-fmt` take.
  public var description: String { "cs-\(major).\(minor)" }
}
