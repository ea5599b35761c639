/// Headers of an uncompressed tar archive of regular files: POSIX ustar, with a pax header where a name or a size does
/// not fit into it (POSIX.1-2001, pax, "Interchange Format").
enum TarArchive {
  /// Size of a header, and the unit to which contents are padded.
  static let block = 512
  /// Two empty blocks end an archive.
  static let end = [UInt8](repeating: 0, count: 2 * block)

  /// Octal digits of a size or time in a ustar header.
  private static let numberDigits = 11

  /// All that comes before the content of a file. `size` in bytes, `time` in seconds since 1970.
  static func header(name: String, size: Int, time: Int) -> [UInt8] {
    var records = ""
    if name.utf8.count > 100 || !name.utf8.allSatisfy({ $0 < 0x80 }) { records += record("path", name) }
    if size >= 1 << (3 * numberDigits) { records += record("size", String(size)) }
    let ascii = name.unicodeScalars.prefix(100).map { $0.isASCII ? Character($0) : "_" }
    let main = ustar(name: String(ascii), size: size, time: time, type: "0")
    guard !records.isEmpty else { return main }
    let extended = Array(records.utf8)
    return ustar(name: "pax", size: extended.count, time: time, type: "x") + extended
      + [UInt8](repeating: 0, count: padding(after: extended.count)) + main
  }

  /// Zero bytes that follow a content of `size` bytes.
  static func padding(after size: Int) -> Int { (block - size % block) % block }

  /// `LENGTH KEY=VALUE`, where the length counts its own digits.
  private static func record(_ key: String, _ value: String) -> String {
    let rest = " \(key)=\(value)\n"
    var length = rest.utf8.count
    while String(length).utf8.count + rest.utf8.count != length {
      length = String(length).utf8.count + rest.utf8.count
    }
    return "\(length)\(rest)"
  }

  private static func ustar(name: String, size: Int, time: Int, type: Character) -> [UInt8] {
    var header: [UInt8] = []
    func put(_ text: String, _ width: Int) {
      header += Array(text.utf8.prefix(width))
      header += [UInt8](repeating: 0, count: width - min(width, text.utf8.count))
    }
    put(name, 100)
    put("0000644", 8)
    put("0000000", 8)
    put("0000000", 8)
    put(octal(size), 12)
    put(octal(time), 12)
    put("        ", 8)
    put(String(type), 1)
    put("", 100)
    put("ustar", 6)
    put("00", 2)
    put("", block - header.count)
    // The checksum counts its own field as spaces.
    let sum = header.reduce(0) { $0 + Int($1) }
    let digits = String(sum, radix: 8)
    let field = Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8) + [0, UInt8(ascii: " ")]
    header.replaceSubrange(148..<156, with: field)
    return header
  }

  /// Eleven digits; 0 for a number that does not fit, which a pax record has then.
  private static func octal(_ number: Int) -> String {
    let digits = String(number >= 0 && number < 1 << (3 * numberDigits) ? number : 0, radix: 8)
    return String(repeating: "0", count: numberDigits - digits.count) + digits
  }
}
