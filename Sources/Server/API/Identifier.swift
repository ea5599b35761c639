/// The id of a job or an upload: 26 characters of lower-case base32, sortable by creation and not to be guessed.
///
/// 48 bits of milliseconds since 1970, then 80 random bits from the system's generator. Alphabet after Crockford:
/// digits and letters without i, l, o and u.
package struct Identifier: Hashable, Sendable, Codable, CustomStringConvertible {
  package let description: String

  private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".unicodeScalars)
  private static let length = 26

  /// Reads an id; nil for anything that `generate` could not have made. Safe as a file name.
  package init?(_ text: String) {
    guard text.utf8.count == Self.length, text.unicodeScalars.allSatisfy(Self.alphabet.contains) else { return nil }
    description = text
  }

  private init(milliseconds: UInt64, random: (high: UInt16, low: UInt64)) {
    var scalars = String.UnicodeScalarView()
    // 48 bits of time in 10 characters, 80 random bits in 16.
    for shift in stride(from: 45, through: 0, by: -5) {
      scalars.append(Self.alphabet[Int(milliseconds >> UInt64(shift) & 31)])
    }
    for index in 0..<16 {
      let shift = 75 - 5 * index
      var digit: UInt64 = shift < 64 ? random.low >> UInt64(shift) : 0
      if shift > 59 {
        // Digits that reach into the upper 16 bits.
        let upper = UInt64(random.high)
        digit |= shift >= 64 ? upper >> UInt64(shift - 64) : upper << UInt64(64 - shift)
      }
      scalars.append(Self.alphabet[Int(digit & 31)])
    }
    description = String(scalars)
  }

  /// A new id.
  package static func generate(at now: Timestamp = .now) -> Identifier {
    var generator = SystemRandomNumberGenerator()
    return Identifier(
      milliseconds: UInt64(clamping: now.milliseconds),
      random: (UInt16.random(in: .min ... .max, using: &generator), generator.next()))
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = Identifier(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an id")
    }
    self = id
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
