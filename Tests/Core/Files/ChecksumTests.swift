import Testing

@testable import Core

@Suite struct ChecksumTests {
  @Test func matchesThePublishedCheckValue() {
    #expect(Checksum.crc32(Array("123456789".utf8)) == 0xCBF4_3926)
    #expect(Checksum.crc32([]) == 0)
  }

  @Test(arguments: [0, 1, 7, 64, 4_095, 70_000])
  func continuesAndCombines(split: Int) {
    let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
    let whole = Checksum.crc32(bytes)
    let first = Checksum.crc32(Array(bytes[..<split]))
    let second = Checksum.crc32(Array(bytes[split...]))
    #expect(Checksum.crc32(Array(bytes[split...]), continuing: first) == whole)
    #expect(Checksum.combine(first, second, secondLength: bytes.count - split) == whole)
  }
}
