import CIsal
import CZlib

/// CRC-32 as zip archives and gzip use it: polynomial 0x04C11DB7 reflected, inverted before and after.
enum Checksum {
  /// The CRC-32 of `continuing`'s bytes followed by those of the buffer; start with 0.
  ///
  /// Complexity: O(bytes), about 15 GB/s with carry-less multiplication.
  static func crc32(_ buffer: UnsafeRawBufferPointer, continuing: UInt32 = 0) -> UInt32 {
    guard let base = buffer.baseAddress else { return continuing }
    return crc32_gzip_refl(continuing, base.assumingMemoryBound(to: UInt8.self), UInt64(buffer.count))
  }

  /// The CRC-32 of `continuing`'s bytes followed by those of the array.
  static func crc32(_ bytes: [UInt8], continuing: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { crc32($0, continuing: continuing) }
  }

  /// The CRC-32 of two runs of bytes joined, from the CRC-32 of each and the length of the second in bytes.
  ///
  /// Complexity: O(log secondLength).
  static func combine(_ first: UInt32, _ second: UInt32, secondLength: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_combine(UInt(first), UInt(second), secondLength))
  }
}
