import Crypto
import Testing

@testable import Core

extension TensorSource {
  /// The elements of a tensor in row-major order, gathered one by one: slow, and plain enough to trust.
  func elements(_ tensor: TensorDescriptor) throws -> [UInt8] {
    var storage = [UInt8](repeating: 0, count: storages[tensor.storage.index].byteCount)
    try storage.withUnsafeMutableBytes { try read(tensor.storage, at: 0, into: $0) }
    let size = tensor.dtype.size
    var bytes: [UInt8] = []
    guard tensor.elementCount > 0 else { return [] }
    var index = [Int](repeating: 0, count: tensor.shape.count)
    while true {
      let element = tensor.offset + zip(index, tensor.strides).reduce(0) { $0 + $1.0 * $1.1 }
      bytes += storage[element * size..<(element + 1) * size]
      var axis = index.count - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < tensor.shape[axis] { break }
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return bytes }
    }
  }
}

/// The hexadecimal SHA-256 of some bytes.
func sha256(_ bytes: [UInt8]) -> String {
  SHA256.hash(data: bytes).map { byte in
    let text = String(byte, radix: 16)
    return text.count == 1 ? "0" + text : text
  }.joined()
}

/// Runs something that must throw a `ConversionError`, and returns it.
func conversionError<Value>(_ body: () throws -> Value) -> ConversionError? {
  do {
    _ = try body()
    Issue.record("nothing was thrown")
  } catch let error as ConversionError {
    return error
  } catch {
    Issue.record("no ConversionError but \(error)")
  }
  return nil
}
