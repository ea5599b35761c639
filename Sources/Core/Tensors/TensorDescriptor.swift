/// Names a storage of one `TensorSource`: an index into its `storages`.
public struct StorageID: Sendable, Hashable {
  /// Position in `TensorSource.storages`.
  public let index: Int

  /// The storage at a position.
  public init(_ index: Int) { self.index = index }
}

/// What a container says of one tensor: a strided view over a storage. Holds no element.
public struct TensorDescriptor: Sendable, Hashable {
  /// Element type.
  public let dtype: DType
  /// Length of each axis; empty for a scalar.
  public let shape: [Int]
  /// Distance of neighbours along each axis, in elements; zero for an expanded axis.
  public let strides: [Int]
  /// The storage the view looks into.
  public let storage: StorageID
  /// Position of the first element in the storage, in elements.
  public let offset: Int

  /// A strided view; `TensorDescriptor.validate(storageBytes:)` checks it against its storage.
  public init(dtype: DType, shape: [Int], strides: [Int], storage: StorageID, offset: Int) {
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.storage = storage
    self.offset = offset
  }

  /// A contiguous tensor that starts at the beginning of its storage.
  public init(dtype: DType, shape: [Int], storage: StorageID) {
    self.init(
      dtype: dtype, shape: shape, strides: TensorShape.contiguousStrides(shape), storage: storage, offset: 0)
  }

  /// Number of elements. Precondition: the descriptor was validated.
  public var elementCount: Int { TensorShape.elementCount(shape) ?? 0 }

  /// Bytes of the tensor written contiguously. Precondition: the descriptor was validated.
  public var byteCount: Int { elementCount * dtype.size }

  /// True when the elements lie in row-major order without gaps.
  public var isContiguous: Bool { TensorShape.isContiguous(shape, strides: strides) }

  /// The reason why this view cannot be read from a storage of `storageBytes` bytes, or nil when it can.
  ///
  /// Every product and sum is checked. An element count beyond `Limits.elements` is refused, because a stride of
  /// zero lets a few bytes claim any shape. Complexity: O(rank).
  public func problem(storageBytes: Int, limits: Limits = .standard) -> String? {
    guard shape.count == strides.count else {
      return "\(shape.count) dimensions but \(strides.count) strides"
    }
    guard shape.count <= limits.rank else { return "\(shape.count) dimensions; at most \(limits.rank) are read" }
    guard shape.allSatisfy({ $0 >= 0 }) else { return "a negative dimension in shape \(shape)" }
    guard strides.allSatisfy({ $0 >= 0 }) else { return "a negative stride in \(strides)" }
    guard offset >= 0 else { return "a negative storage offset \(offset)" }
    guard let count = TensorShape.elementCount(shape), count <= limits.elements else {
      return "shape \(shape) has more than \(limits.elements) elements"
    }
    guard storageBytes >= 0 else { return "a negative storage size" }
    if count == 0 { return nil }
    var last = offset
    for (dimension, stride) in zip(shape, strides) {
      let (span, spanOverflow) = (dimension - 1).multipliedReportingOverflow(by: stride)
      let (sum, sumOverflow) = last.addingReportingOverflow(span)
      if spanOverflow || sumOverflow { return "shape \(shape) with strides \(strides) overflows" }
      last = sum
    }
    let available = storageBytes / dtype.size
    guard last < available else {
      return "element \(last) is needed, but the storage holds \(available) elements of \(dtype.rawValue)"
    }
    // An expanded view may exceed its storage, but only within what a sane model would hold.
    guard count <= available || strides.contains(0) || count / 16 <= available else {
      return "shape \(shape) reads the \(available) elements of its storage many times over"
    }
    return nil
  }
}
