/// A number of bytes as people write it: `4096`, `512MiB`, `1.5 GB`.
struct ByteSize: Hashable, Sendable {
  let bytes: Int

  /// Reads a decimal number and an optional unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB; K, M, G, T count in 1024s).
  /// Case does not matter. Nil for anything else, for negative sizes and for sizes over 2^62.
  init?(_ text: some StringProtocol) {
    let trimmed = text.trimmingSpaces.lowercased()
    let digits = trimmed.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = trimmed.dropFirst(digits.count).trimmingSpaces
    guard let factor = Self.units[String(unit)], let number = Double(digits) else { return nil }
    let bytes = number * Double(factor)
    guard bytes.isFinite, bytes >= 0, bytes <= Double(1 << 62) else { return nil }
    self.bytes = Int(digits).map { $0.multipliedReportingOverflow(by: factor).partialValue } ?? Int(bytes)
  }

  private static let units: [String: Int] = [
    "": 1, "b": 1,
    "kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
    "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
  ]
}
