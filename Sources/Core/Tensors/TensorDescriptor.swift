/// Names a storage of one `TensorSource`: an index into its `storages`.
package struct StorageID: Sendable, Hashable {
  /// Position in `TensorSource.storages`.
  package let index: Int

  /// The storage at a position.
  package init(_ index: Int) { self.index = index }
}

/// What a container says of one tensor: a strided view over a storage. Holds no element.
package struct TensorDescriptor: Sendable, Hashable {
  /// Element type.
  package let dtype: DType
  /// Length of each axis; empty for a scalar.
  package let shape: [Int]
  /// Distance of neighbours along each axis, in elements; zero for an expanded axis.
  package let strides: [Int]
  /// The storage the view looks into.
  package let storage: StorageID
  /// Position of the first element in the storage, in elements.
  package let offset: Int

  /// A strided view; `TensorDescriptor.validate(storageBytes:)` checks it against its storage.
  package init(dtype: DType, shape: [Int], strides: [Int], storage: StorageID, offset: Int) {
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.storage = storage
    self.offset = offset
  }

  /// A contiguous tensor that starts at the beginning of its storage.
  package init(dtype: DType, shape: [Int], storage: StorageID) {
    self.init(
      dtype: dtype, shape: shape, strides: TensorShape.contiguousStrides(shape), storage: storage, offset: 0)
  }

  /// Number of elements. Precondition: the descriptor was validated.
  package var elementCount: Int { TensorShape.elementCount(shape) ?? 0 }

  /// Bytes of the tensor written contiguously. Precondition: the descriptor was validated.
  package var byteCount: Int { elementCount * dtype.size }

  /// True when the elements lie in row-major order without gaps.
  var isContiguous: Bool { TensorShape.isContiguous(shape, strides: strides) }

  /// The reason why this view cannot be read from a storage of `storageBytes` bytes, or nil when it can.
  ///
  /// Every product and sum is checked. A shape or a reach beyond `Limits.elements` is refused, because a stride of zero lets
  /// a few bytes claim any shape, and a zero among the dimensions needs no byte at all. Complexity: O(rank).
  package func problem(storageBytes: Int, limits: Limits = .standard) -> String? {
    guard shape.count == strides.count else {
      return "\(shape.count) dimensions but \(strides.count) strides"
    }
    if let problem = TensorShape.problem(shape, limits: limits) { return problem }
    guard strides.allSatisfy({ $0 >= 0 }) else { return "a negative stride in \(strides)" }
    guard offset >= 0 else { return "a negative storage offset \(offset)" }
    guard storageBytes >= 0 else { return "a negative storage size" }
    let count = elementCount
    // Slices of an empty tensor, and of an axis of length 1, are computed from strides that no element is read with.
    guard offset <= limits.elements, strides.allSatisfy({ $0 <= limits.elements }) else {
      return "offset \(offset) or strides \(strides) are beyond \(limits.elements) elements"
    }
    var last = offset
    for (dimension, stride) in zip(shape, strides) {
      let (span, spanOverflow) = (max(dimension, 1) - 1).multipliedReportingOverflow(by: stride)
      let (sum, sumOverflow) = last.addingReportingOverflow(span)
      guard !spanOverflow, !sumOverflow, sum <= limits.elements else {
        return "shape \(shape) with strides \(strides) reaches beyond \(limits.elements) elements"
      }
      last = sum
    }
    if count == 0 { return nil }
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
