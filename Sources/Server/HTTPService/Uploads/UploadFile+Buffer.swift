import Jobs
import NIOCore

extension UploadFile {
  /// Writes the readable bytes of a buffer at the end.
  func append(_ buffer: ByteBuffer) throws { try buffer.withUnsafeReadableBytes { try append($0) } }
}
