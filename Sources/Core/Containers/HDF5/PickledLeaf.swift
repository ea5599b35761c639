/// Pickles of the few values that a checkpoint cannot hold otherwise, as protocol 4.
enum PickledLeaf {
  /// A Python bytes object.
  static func bytes(_ bytes: [UInt8]) -> [UInt8] {
    var length = HDF5Encoder()
    length.append(UInt32(truncatingIfNeeded: bytes.count))
    return header + [UInt8(ascii: "B")] + length.bytes + bytes + stop
  }

  /// A dtype, a device or a complex number.
  static func opaque<Tensor>(_ value: ObjectTree<Tensor>.Opaque) -> [UInt8] {
    switch value {
    case .dtype(let name):
      return header + global("torch", name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name) + stop
    case .device(let type, let index):
      var call = header + global("torch", "device") + string(type)
      if let index {
        var number = HDF5Encoder()
        number.append(Int32(clamping: index))
        call += [UInt8(ascii: "J")] + number.bytes + [0x86]
      } else {
        call += [0x85]
      }
      return call + reduce + stop
    case .complex(let real, let imaginary):
      return header + global("builtins", "complex") + double(real) + double(imaginary) + [0x86] + reduce + stop
    }
  }

  private static let header: [UInt8] = [0x80, 4]
  private static let stop = [UInt8(ascii: ".")]
  private static let reduce = [UInt8(ascii: "R")]

  private static func global(_ module: String, _ name: String) -> [UInt8] { string(module) + string(name) + [0x93] }

  private static func string(_ text: String) -> [UInt8] {
    var length = HDF5Encoder()
    length.append(UInt32(truncatingIfNeeded: text.utf8.count))
    return [UInt8(ascii: "X")] + length.bytes + Array(text.utf8)
  }

  private static func double(_ value: Double) -> [UInt8] {
    [UInt8(ascii: "G")] + withUnsafeBytes(of: value.bitPattern.bigEndian) { Array($0) }
  }
}
