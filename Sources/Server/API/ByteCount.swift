/// A number of bytes as people write it: `4096`, `10GB`, `256MiB`.
package struct ByteCount: Sendable, Hashable, CustomStringConvertible {
  /// Bytes; not negative.
  package let bytes: Int

  package init(_ bytes: Int) { self.bytes = bytes }

  /// Decimal (KB, MB, GB, TB) and binary (KiB, MiB, GiB, TiB) units, letter case aside; no unit means bytes.
  package init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = argument.dropFirst(digits.count).trimmingPrefix { $0 == " " }.lowercased()
    let factors = [
      "": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
      "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    ]
    guard let factor = factors[unit], let number = Double(digits), number >= 0,
      number * Double(factor) < Double(1 << 60)
    else { return nil }
    bytes = Int(number * Double(factor))
  }

  package var description: String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where bytes >= factor {
      if bytes % factor == 0 { return "\(bytes / factor)\(unit)" }
    }
    return "\(bytes)"
  }
}
