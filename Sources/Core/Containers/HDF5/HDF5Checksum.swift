/// The checksum of HDF5's newer structures: Bob Jenkins' `hashlittle` of lookup3.c, with an initial value of 0.
enum HDF5Checksum {
  /// The checksum of some bytes. Complexity: O(n).
  static func lookup3(_ bytes: [UInt8]) -> UInt32 {
    var a: UInt32 = 0xDEAD_BEEF &+ UInt32(truncatingIfNeeded: bytes.count)
    var b = a
    var c = a
    func word(_ position: Int) -> UInt32 {
      var word: UInt32 = 0
      for offset in 0..<4 where position + offset < bytes.count {
        word |= UInt32(bytes[position + offset]) << UInt32(8 * offset)
      }
      return word
    }
    func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
    var position = 0
    // The last block, of 1 to 12 bytes, is mixed in another way.
    while bytes.count - position > 12 {
      a &+= word(position)
      b &+= word(position + 4)
      c &+= word(position + 8)
      a = (a &- c) ^ rotate(c, 4)
      c &+= b
      b = (b &- a) ^ rotate(a, 6)
      a &+= c
      c = (c &- b) ^ rotate(b, 8)
      b &+= a
      a = (a &- c) ^ rotate(c, 16)
      c &+= b
      b = (b &- a) ^ rotate(a, 19)
      a &+= c
      c = (c &- b) ^ rotate(b, 4)
      b &+= a
      position += 12
    }
    guard position < bytes.count else { return c }
    a &+= word(position)
    b &+= word(position + 4)
    c &+= word(position + 8)
    c = (c ^ b) &- rotate(b, 14)
    a = (a ^ c) &- rotate(c, 11)
    b = (b ^ a) &- rotate(a, 25)
    c = (c ^ b) &- rotate(b, 16)
    a = (a ^ c) &- rotate(c, 4)
    b = (b ^ a) &- rotate(a, 14)
    return (c ^ b) &- rotate(b, 24)
  }
}
