/// An expression resolved against the storages of a source, in the form that tiles are computed from.
///
/// Lowering turns whatever can be a strided view into one, and moves permutations and slices below concatenations and
/// functions, so that only reshapes that really mix elements remain as nodes.
indirect enum LoweredTensor: Sendable {
  /// A strided view of a source storage.
  case view(View)
  /// Parts along an axis; `starts` holds the first index of each part.
  case concatenate([LoweredTensor], axis: Int, starts: [Int], shape: [Int])
  /// The operand's elements in row-major order under another shape.
  case reshape(LoweredTensor, shape: [Int])
  /// Axis `i` is axis `axes[i]` of the operand.
  case permute(LoweredTensor, axes: [Int])
  /// Part of an axis of the operand.
  case slice(LoweredTensor, axis: Int, start: Int, shape: [Int])
  /// Each element passed through a function.
  case map(LoweredTensor, ElementFunction, DType)
  /// Elements that come from no source.
  case generate(ElementGenerator)

  /// A strided view; strides and offset count elements.
  struct View: Sendable {
    var storage: StorageID
    var elementSize: Int
    var shape: [Int]
    var strides: [Int]
    var offset: Int
  }

  var shape: [Int] {
    switch self {
    case .view(let view): view.shape
    case .concatenate(_, _, _, let shape), .reshape(_, let shape), .slice(_, _, _, let shape): shape
    case .permute(let operand, let axes): axes.map { operand.shape[$0] }
    case .map(let operand, _, _): operand.shape
    case .generate(let generator): generator.shape
    }
  }

  /// Resolves an expression. Precondition: `descriptors` has every source key of it.
  init(_ expression: TensorExpression, dtype: DType, descriptors: [String: TensorDescriptor]) {
    switch expression {
    case .source(let key):
      guard let descriptor = descriptors[key] else {
        preconditionFailure("the plan names a source tensor '\(key)' that it does not describe")
      }
      self = .view(
        View(
          storage: descriptor.storage, elementSize: descriptor.dtype.size, shape: descriptor.shape,
          strides: descriptor.strides, offset: descriptor.offset))
    case .permute(let operand, let axes):
      self = LoweredTensor(operand, dtype: dtype, descriptors: descriptors).permuted(axes)
    case .slice(let operand, let axis, let range, _):
      self = LoweredTensor(operand, dtype: dtype, descriptors: descriptors).sliced(axis, range)
    case .concatenate(let operands, let axis, let lengths):
      var starts: [Int] = []
      var end = 0
      for length in lengths {
        starts.append(end)
        end += length
      }
      let parts = operands.map { LoweredTensor($0, dtype: dtype, descriptors: descriptors) }
      var shape = parts[0].shape
      shape[axis] = end
      self = .concatenated(parts, axis: axis, starts: starts, shape: shape)
    case .reshape(let operand, _, let shape):
      self = LoweredTensor(operand, dtype: dtype, descriptors: descriptors).reshaped(shape)
    case .map(let operand, .cast(let from, let to)):
      self = .map(
        LoweredTensor(operand, dtype: from, descriptors: descriptors), .cast(from: from, to: to), to)
    case .map(let operand, let function):
      self = .map(LoweredTensor(operand, dtype: dtype, descriptors: descriptors), function, dtype)
    case .generate(let generator): self = .generate(generator)
    }
  }

  /// Parts along an axis. A function that every part ends with is computed on the whole, in longer runs.
  private static func concatenated(
    _ parts: [LoweredTensor], axis: Int, starts: [Int], shape: [Int]
  ) -> LoweredTensor {
    let apart = LoweredTensor.concatenate(parts, axis: axis, starts: starts, shape: shape)
    guard case .map(_, let function, let dtype) = parts[0] else { return apart }
    var operands: [LoweredTensor] = []
    for part in parts {
      guard case .map(let operand, function, dtype) = part else { return apart }
      operands.append(operand)
    }
    return .map(.concatenated(operands, axis: axis, starts: starts, shape: shape), function, dtype)
  }

  /// The view that this is when functions on its elements are left out, and the functions in the order in which they are
  /// computed. Nil when it is no view, or with a cast, which changes the size of elements.
  var mappedView: (view: View, functions: [ElementFunction])? {
    switch self {
    case .view(let view): return (view, [])
    case .map(_, .cast, _): return nil
    case .map(let operand, let function, _):
      guard let (view, functions) = operand.mappedView else { return nil }
      return (view, functions + [function])
    case .concatenate, .reshape, .permute, .slice, .generate: return nil
    }
  }

  /// Calls `body` with the storage of every view, the same one perhaps several times.
  func forEachStorage(_ body: (StorageID) -> Void) {
    switch self {
    case .view(let view): body(view.storage)
    case .concatenate(let parts, _, _, _): for part in parts { part.forEachStorage(body) }
    case .reshape(let operand, _), .permute(let operand, _), .slice(let operand, _, _, _), .map(let operand, _, _):
      operand.forEachStorage(body)
    case .generate: break
    }
  }

  private func permuted(_ axes: [Int]) -> LoweredTensor {
    switch self {
    case .view(var view):
      view.shape = axes.map { view.shape[$0] }
      view.strides = axes.map { view.strides[$0] }
      return .view(view)
    case .concatenate(let parts, let axis, let starts, let shape):
      return .concatenate(
        parts.map { $0.permuted(axes) }, axis: axes.firstIndex(of: axis) ?? 0, starts: starts,
        shape: axes.map { shape[$0] })
    case .map(let operand, let function, let dtype): return .map(operand.permuted(axes), function, dtype)
    case .permute(let operand, let inner): return .permute(operand, axes: axes.map { inner[$0] })
    case .reshape, .slice, .generate: return .permute(self, axes: axes)
    }
  }

  private func sliced(_ axis: Int, _ range: Range<Int>) -> LoweredTensor {
    switch self {
    case .view(var view):
      view.shape[axis] = range.count
      view.offset += range.lowerBound * view.strides[axis]
      return .view(view)
    case .map(let operand, let function, let dtype): return .map(operand.sliced(axis, range), function, dtype)
    default:
      var result = shape
      result[axis] = range.count
      return .slice(self, axis: axis, start: range.lowerBound, shape: result)
    }
  }

  private func reshaped(_ target: [Int]) -> LoweredTensor {
    switch self {
    case .view(var view):
      guard let strides = Self.viewStrides(view.shape, view.strides, target) else { break }
      view.shape = target
      view.strides = strides
      return .view(view)
    case .map(let operand, let function, let dtype): return .map(operand.reshaped(target), function, dtype)
    case .reshape(let operand, _): return operand.reshaped(target)
    default: break
    }
    return .reshape(self, shape: target)
  }

  /// Strides under which a view of `shape` can be read as `target` without moving elements, or nil.
  ///
  /// The same question that `torch.Tensor.view` answers. Complexity: O(rank).
  static func viewStrides(_ shape: [Int], _ strides: [Int], _ target: [Int]) -> [Int]? {
    if shape.contains(0) { return TensorShape.contiguousStrides(target) }
    // Runs of axes that lie behind one another in memory, innermost last: length and stride of the innermost.
    var runs: [(length: Int, stride: Int)] = []
    for (length, stride) in zip(shape, strides) where length != 1 {
      if let last = runs.last, last.stride == stride * length {
        runs[runs.count - 1] = (last.length * length, stride)
      } else {
        runs.append((length, stride))
      }
    }
    var result = [Int](repeating: 1, count: target.count)
    var run = runs.count - 1
    var taken = 1
    for axis in target.indices.reversed() where target[axis] != 1 {
      guard run >= 0, runs[run].length % (taken * target[axis]) == 0 else { return nil }
      result[axis] = runs[run].stride * taken
      taken *= target[axis]
      if taken == runs[run].length {
        run -= 1
        taken = 1
      }
    }
    return result
  }
}
