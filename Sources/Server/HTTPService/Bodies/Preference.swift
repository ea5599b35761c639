import API

/// The `wait` preference of a `Prefer` header (RFC 7240): how long a client would wait for news.
struct Preference: Sendable, Hashable {
  /// Whole seconds, never negative.
  let wait: Int

  /// Reads a header; nil when it has no `wait` with a number. A wait beyond `limit` is `limit`.
  init?(_ header: String?, limit: Int) {
    for entry in header?.split(whereSeparator: { $0 == "," || $0 == ";" }) ?? [] {
      let parts = entry.split(separator: "=", maxSplits: 1).map(\.trimmingSpaces)
      guard parts.count == 2, parts[0].lowercased() == "wait", !parts[1].isEmpty,
        parts[1].utf8.allSatisfy({
          $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")
        })
      else { continue }
      wait = min(Int(parts[1]) ?? limit, limit)
      return
    }
    return nil
  }
}
