/// An HDF5 file whose superblock was read: where the root group lies, and bounds-checked access to the bytes.
///
/// Only the parts of HDF5 that Cerebras checkpoints use are read; docs/formats/hdf5.md lists them. The layout of every
/// structure follows the HDF5 File Format Specification, version 3.0. Nothing is read through libhdf5, so damage in a
/// file ends in an error here and never in memory corruption. A value of this type holds no mutable state.
struct HDF5File: Sendable {
  /// The first eight bytes of every HDF5 file.
  static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The open file.
  let input: InputFile
  /// Bounds in force.
  let limits: Limits
  /// Address of the object header of the root group.
  let rootAddress: Int

  /// Reads the superblock.
  ///
  /// Throws `.unreadableInput` when the file is no HDF5, ends early or has a newer superblock, `.hostileInput` when
  /// the superblock contradicts itself.
  init(input: InputFile, limits: Limits) throws(ConversionError) {
    self.input = input
    self.limits = limits
    guard input.size >= 96 else {
      throw ConversionError(.unreadableInput, "\(input.path) is too short for an HDF5 file (\(input.size) bytes)")
    }
    var cursor = HDF5Cursor(try input.bytes(at: 0, count: min(input.size, 104)), path: input.path, what: "superblock")
    guard try cursor.bytes(8).elementsEqual(Self.signature) else {
      throw ConversionError(.unreadableInput, "\(input.path) does not begin with the HDF5 signature")
    }
    let version = try cursor.u8()
    guard version <= 1 else {
      throw ConversionError(
        .unreadableInput,
        "\(input.path) has HDF5 superblock version \(version); only versions 0 and 1 are read, as Cerebras releases "
          + "write them. Save it again without h5py's libver='latest'")
    }
    // Versions of the free-space, root group and shared header formats; all are 0 and nothing depends on them.
    try cursor.skip(4)
    let offsetSize = try cursor.u8()
    let lengthSize = try cursor.u8()
    guard offsetSize == 8, lengthSize == 8 else {
      throw ConversionError(
        .hostileInput, "\(input.path) has HDF5 addresses of \(offsetSize) and lengths of \(lengthSize) bytes, not 8")
    }
    try cursor.skip(version == 0 ? 9 : 13)
    let base = try cursor.u64()
    try cursor.skip(8)
    let end = try cursor.u64()
    try cursor.skip(16)
    guard let root = try cursor.address(), base == 0 else {
      throw ConversionError(.hostileInput, "\(input.path) has a damaged HDF5 superblock: bad base or root address")
    }
    guard end <= UInt64(input.size) else {
      throw ConversionError(
        .unreadableInput,
        "\(input.path) is truncated: it has \(input.size) bytes, its superblock states \(end). Copy it again")
    }
    rootAddress = root
  }

  /// A cursor over `count` bytes at an address. Throws `.hostileInput` when they do not lie inside the file.
  func block(at address: Int, count: Int, what: String) throws(ConversionError) -> HDF5Cursor {
    guard address >= 0, count >= 0, count <= input.size, address <= input.size - count else {
      throw ConversionError(
        .hostileInput,
        "\(input.path) is damaged: the HDF5 \(what) at byte \(address) of \(count) bytes lies outside the file")
    }
    return HDF5Cursor(try input.bytes(at: address, count: count), path: input.path, what: what)
  }

  /// An error about damage.
  func damaged(_ message: String) -> ConversionError {
    ConversionError(.hostileInput, "\(input.path) is damaged: \(message)")
  }

  /// An error about a valid feature of HDF5 that checkpoints do not use.
  func unsupported(_ feature: String) -> ConversionError {
    ConversionError(
      .unreadableInput,
      "\(input.path) uses \(feature), which no Cerebras release writes and which is not read here. "
        + "Save it again with cstorch.save or with h5py's defaults")
  }
}
