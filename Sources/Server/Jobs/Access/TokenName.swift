import API

/// The rule for names of tokens and teams, which stand in job documents, logs and commands.
package enum TokenName {
  /// Bytes at most.
  package static let limit = 64

  package static let rule = "1 to \(limit) letters, digits and . _ @ - of ASCII, and not look like an id"

  /// True for a name that follows the rule.
  package static func isValid(_ name: String) -> Bool {
    (1...limit).contains(name.utf8.count) && Identifier(name) == nil
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "@"),
          UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}
