import Testing

@testable import Core

struct HDF5ChecksumTests {
  /// The values that the driver of lookup3.c prints, and those of libhdf5's own test.
  @Test(arguments: [
    ("Four score and seven years ago", 0x1777_0551 as UInt32), ("", 0xDEAD_BEEF),
  ])
  func matchesReference(_ text: String, _ expected: UInt32) {
    #expect(HDF5Checksum.lookup3(Array(text.utf8)) == expected)
  }
}
