/// Bytes of a known number that can be read from any place: a file on another machine, or a few bytes in memory.
///
/// Core knows no network; whoever calls it brings an implementation. Safe to use from several threads at once.
package protocol RandomAccessBytes: Sendable {
  /// Number of bytes.
  var size: Int { get }
  /// SHA-256 of all bytes in lower-case hexadecimal, when whoever keeps them states it.
  var sha256: String? { get }

  /// Fills the whole buffer from an absolute offset; blocks. Precondition: the range lies inside.
  ///
  /// Throws `.fetchFailed` when the bytes cannot be had, `.cancelled`, or `.unreadableInput`.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError)
}

/// Bytes in memory.
package struct MemoryBytes: RandomAccessBytes {
  private let bytes: [UInt8]

  /// Takes the bytes.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Number of bytes.
  package var size: Int { bytes.count }
  /// Nobody states it.
  package var sha256: String? { nil }

  /// Copies a range.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    bytes.withUnsafeBytes { source in
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + buffer.count]))
    }
  }
}
