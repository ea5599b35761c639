/// Computes boxes of output tensors. One for each worker thread; owns that thread's scratch memory.
///
/// Memory: `scratchBytes`, whatever the size of tensors. A box whose sources do not fit the scratch is split.
final class TileEvaluator {
  private let source: any TensorSource
  private var scratch: UnsafeMutableRawBufferPointer
  private var overflows = 0
  /// The CRC-32 of the storage that was last read in one go, taken while its bytes were in the processor's cache.
  private var sum: (storage: StorageID, value: UInt32)?

  /// An evaluator over a source. `scratchBytes` is at least 4096.
  init(source: any TensorSource, scratchBytes: Int) {
    self.source = source
    scratch = .allocate(byteCount: max(scratchBytes, 4096), alignment: 64)
  }

  deinit { scratch.deallocate() }

  /// A box of a tensor's index space: first index and length along each axis.
  struct Box {
    var lower: [Int]
    var count: [Int]

    var isEmpty: Bool { count.contains(0) }
  }

  /// Where the elements of a box go: the address of its first element and the stride of each axis, in elements.
  struct Target {
    var pointer: UnsafeMutableRawPointer
    var strides: [Int]
    let elementSize: Int

    func moved(_ axis: Int, by count: Int) -> Target {
      moved(by: strides[axis] * count)
    }

    func moved(by elements: Int) -> Target {
      Target(pointer: pointer + elements * elementSize, strides: strides, elementSize: elementSize)
    }
  }

  /// Fills a box. Throws `.unreadableInput` when a source cannot be read.
  func evaluate(_ tensor: LoweredTensor, _ box: Box, into target: Target) throws(ConversionError) {
    if box.isEmpty { return }
    switch tensor {
    case .view(let view): try read(view, box, into: target)
    case .concatenate(let parts, let axis, let starts, _):
      for (part, start) in zip(parts, starts) {
        let first = max(box.lower[axis], start)
        let end = min(box.lower[axis] + box.count[axis], start + part.shape[axis])
        guard first < end else { continue }
        var inner = box
        inner.lower[axis] = first - start
        inner.count[axis] = end - first
        try evaluate(part, inner, into: target.moved(axis, by: first - box.lower[axis]))
      }
    case .slice(let operand, let axis, let start, _):
      var inner = box
      inner.lower[axis] += start
      try evaluate(operand, inner, into: target)
    case .permute(let operand, let axes):
      var inner = box
      var moved = target
      for (axis, operandAxis) in axes.enumerated() {
        inner.lower[operandAxis] = box.lower[axis]
        inner.count[operandAxis] = box.count[axis]
        moved.strides[operandAxis] = target.strides[axis]
      }
      try evaluate(operand, inner, into: moved)
    case .reshape(let operand, let shape):
      for piece in ReshapedBox.pieces(of: box, strides: target.strides, shape: shape, operand: operand.shape) {
        var inner = target.moved(by: piece.offset)
        inner.strides = piece.strides
        try evaluate(operand, piece.box, into: inner)
      }
    case .map(let operand, .cast(let from, let to), _): try cast(operand, from, to, box, into: target)
    case .map(let operand, let function, let dtype):
      try evaluate(operand, box, into: target)
      Kernels.apply(function, dtype, counts: box.count, strides: target.strides, target.pointer)
    case .generate(let generator):
      generator.fill(box.lower, box.count, target.strides, target.pointer)
    }
  }

  /// Computes a box and hands its bytes over in row-major order, in pieces that are still in the processor's cache.
  ///
  /// `tile` must hold the whole box; `emit` gets the bytes and their position within the box.
  func produce(
    _ tensor: LoweredTensor, _ box: Box, tile: UnsafeMutableRawBufferPointer, dtype: DType,
    emit: (UnsafeRawBufferPointer, Int) throws(ConversionError) -> Void
  ) throws(ConversionError) {
    guard let base = tile.baseAddress, !box.isEmpty else { return }
    if let (view, functions) = tensor.mappedView {
      let emitMapped = { (bytes: UnsafeMutableRawBufferPointer, position: Int) throws(ConversionError) in
        guard let base = bytes.baseAddress else { return }
        for function in functions {
          Kernels.apply(function, dtype, counts: [bytes.count / dtype.size], strides: [1], base)
        }
        try emit(UnsafeRawBufferPointer(bytes), position)
      }
      if try stream(view, box, tile: base, emit: emitMapped) { return }
      if try produce(view, box, tile: base, emit: emitMapped) { return }
    }
    try evaluate(
      tensor, box,
      into: Target(pointer: base, strides: TensorShape.contiguousStrides(box.count), elementSize: dtype.size))
    try emit(UnsafeRawBufferPointer(start: base, count: box.count.reduce(dtype.size, *)), 0)
  }

  /// Bytes that are computed, summed and written before the next ones: a part of the second-level cache.
  static let hotBytes = 256 << 10

  /// Reads a box that lies verbatim in a file and emits it piece by piece. False when it does not lie there in one run.
  private func stream(
    _ view: LoweredTensor.View, _ box: Box, tile: UnsafeMutableRawPointer,
    emit: (UnsafeMutableRawBufferPointer, Int) throws(ConversionError) -> Void
  ) throws(ConversionError) -> Bool {
    let storage = source.storages[view.storage.index]
    guard storage.extent != nil, TensorShape.isContiguous(box.count, strides: view.strides) else { return false }
    let start = zip(box.lower, view.strides).reduce(view.offset) { $0 + $1.0 * $1.1 } * view.elementSize
    let total = box.count.reduce(view.elementSize, *)
    let isWhole = start == 0 && total == storage.byteCount && storage.crc32 != nil
    var checksum: UInt32 = 0
    for done in stride(from: 0, to: total, by: Self.hotBytes) {
      let piece = UnsafeMutableRawBufferPointer(start: tile, count: min(Self.hotBytes, total - done))
      try source.read(view.storage, at: start + done, into: piece)
      if isWhole { checksum = Checksum.crc32(UnsafeRawBufferPointer(piece), continuing: checksum) }
      try emit(piece, done)
    }
    if isWhole { sum = (view.storage, checksum) }
    return true
  }

  /// Loads what a box of a view needs once, then emits it a few rows at a time. False when the scratch is too small.
  private func produce(
    _ view: LoweredTensor.View, _ box: Box, tile: UnsafeMutableRawPointer,
    emit: (UnsafeMutableRawBufferPointer, Int) throws(ConversionError) -> Void
  ) throws(ConversionError) -> Bool {
    let size = view.elementSize
    let strides = TensorShape.contiguousStrides(box.count)
    var offset = view.offset
    for axis in box.count.indices { offset += box.lower[axis] * view.strides[axis] }
    guard let cut = box.count.firstIndex(where: { $0 > 1 }) else { return false }
    let order = box.count.indices.filter { box.count[$0] > 1 }.sorted { view.strides[$0] > view.strides[$1] }
    let axes = order.map { Kernels.Axis(count: box.count[$0], source: view.strides[$0], target: strides[$0]) }
    guard let image = try loadImage(view.storage, offset, axes, size), let position = order.firstIndex(of: cut),
      let base = scratch.baseAddress
    else { return false }
    let rowBytes = strides[cut] * size
    let rows = max(Self.hotBytes / rowBytes, 1)
    for start in stride(from: 0, to: box.count[cut], by: rows) {
      var part = image
      part[position].count = min(rows, box.count[cut] - start)
      Kernels.copy(part, elementSize: size, from: base + start * image[position].source * size, to: tile)
      let bytes = UnsafeMutableRawBufferPointer(start: tile, count: part[position].count * rowBytes)
      try emit(bytes, start * rowBytes)
    }
    return true
  }

  /// Reads a whole storage; returns its CRC-32.
  private func readAll(
    of storage: StorageID, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> UInt32 {
    var checksum: UInt32 = 0
    for start in stride(from: 0, to: buffer.count, by: Self.hotBytes) {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<min(start + Self.hotBytes, buffer.count)])
      try source.read(storage, at: start, into: part)
      checksum = Checksum.crc32(UnsafeRawBufferPointer(part), continuing: checksum)
    }
    return checksum
  }

  /// The CRC-32 of a range of a storage. Nothing but the scratch is used, and of it what the processor's cache holds.
  func checksum(of range: Range<Int>, in storage: StorageID) throws(ConversionError) -> UInt32 {
    var checksum: UInt32 = 0
    let part = min(scratch.count, Self.hotBytes)
    for start in stride(from: range.lowerBound, to: range.upperBound, by: part) {
      let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[..<min(part, range.upperBound - start)])
      try source.read(storage, at: start, into: bytes)
      checksum = Checksum.crc32(UnsafeRawBufferPointer(bytes), continuing: checksum)
    }
    return checksum
  }

  /// The CRC-32 of a whole storage: as it was when it was last read in one go, or else read again.
  func takeChecksum(of storage: StorageID) throws(ConversionError) -> UInt32 {
    defer { sum = nil }
    if let sum, sum.storage == storage { return sum.value }
    return try checksum(of: 0..<source.storages[storage.index].byteCount, in: storage)
  }

  /// Finite values that a cast has made infinite since this was last asked.
  func takeOverflows() -> Int {
    defer { overflows = 0 }
    return overflows
  }

  /// Fills a box with the operand in another precision, in parts that half of the scratch holds; the other half is left to
  /// the operand.
  private func cast(
    _ operand: LoweredTensor, _ from: DType, _ to: DType, _ box: Box, into target: Target
  ) throws(ConversionError) {
    let whole = scratch
    defer { scratch = whole }
    let half = whole.count / 2 / 64 * 64
    scratch = UnsafeMutableRawBufferPointer(rebasing: whole[..<half])
    guard let staging = whole.baseAddress.map({ $0 + half }) else { return }
    try Tiling.forEachTile(of: box.count, elements: (whole.count - half) / from.size) { part throws(ConversionError) in
      var inner = part
      var place = target
      for axis in part.lower.indices {
        inner.lower[axis] += box.lower[axis]
        place = place.moved(axis, by: part.lower[axis])
      }
      let strides = TensorShape.contiguousStrides(part.count)
      try evaluate(operand, inner, into: Target(pointer: staging, strides: strides, elementSize: from.size))
      convert(part.count, from, staging, to, into: place)
    }
  }

  /// Converts contiguous elements into a strided place, in the longest runs there are.
  private func convert(
    _ counts: [Int], _ from: DType, _ source: UnsafeRawPointer, _ to: DType, into target: Target
  ) {
    let isRun = TensorShape.isContiguous(counts, strides: target.strides)
    let count = isRun ? counts.reduce(1, *) : counts.last ?? 1
    let outer = isRun ? 0 : max(counts.count - 1, 0)
    var source = source
    Kernels.forEachOffset(Array(counts[..<outer]), Array(target.strides[..<outer])) { offset in
      overflows += FloatCast.convert(
        source, from, to: target.pointer + offset * to.size, to, count: count,
        stride: isRun ? 1 : target.strides.last ?? 1)
      source += count * from.size
    }
  }

  /// Copies a box of a strided view, reading as few and as long runs as it can.
  private func read(
    _ view: LoweredTensor.View, _ box: Box, into target: Target
  ) throws(ConversionError) {
    let size = view.elementSize
    var offset = view.offset
    var axes: [Kernels.Axis] = []
    for axis in box.count.indices {
      offset += box.lower[axis] * view.strides[axis]
      if box.count[axis] > 1 {
        axes.append(
          Kernels.Axis(count: box.count[axis], source: view.strides[axis], target: target.strides[axis]))
      }
    }
    // Outermost in the file first; expanded axes, which read the same bytes again, last.
    axes.sort { $0.source > $1.source }
    try read(view.storage, offset, axes, size, target.pointer)
  }

  private func read(
    _ storage: StorageID, _ offset: Int, _ axes: [Kernels.Axis], _ size: Int, _ target: UnsafeMutableRawPointer
  ) throws(ConversionError) {
    let counts = axes.map(\.count)
    if TensorShape.isContiguous(counts, strides: axes.map(\.source)),
      TensorShape.isContiguous(counts, strides: axes.map(\.target))
    {
      let bytes = counts.reduce(size, *)
      try source.read(
        storage, at: offset * size, into: UnsafeMutableRawBufferPointer(start: target, count: bytes))
      return
    }

    guard let image = try loadImage(storage, offset, axes, size) else {
      try readHalves(storage, offset, axes, size, target)
      return
    }
    guard let base = scratch.baseAddress else { return }
    Kernels.copy(image, elementSize: size, from: base, to: target)
  }

  /// Reads the elements that a box needs into the scratch; returns the box's axes with their strides in the scratch, in
  /// the same order, or nil when the scratch is too small.
  ///
  /// The innermost axes are read as one image, gaps included as long as half of it is wanted; the other axes repeat that.
  private func loadImage(
    _ storage: StorageID, _ offset: Int, _ axes: [Kernels.Axis], _ size: Int
  ) throws(ConversionError) -> [Kernels.Axis]? {
    var image = axes.count
    var span = 1
    var wanted = 1
    while image > 0 {
      let axis = axes[image - 1]
      let wider = span + (axis.count - 1) * axis.source
      guard wider * size <= scratch.count, wider <= 2 * wanted * axis.count || image == axes.count else { break }
      span = wider
      wanted *= axis.count
      image -= 1
    }
    // Not even the innermost axis fits.
    if image == axes.count, let last = axes.last, last.count > 1 { return nil }
    let images = axes[..<image].reduce(1) { $0 * $1.count }
    guard images <= scratch.count / (span * size) else { return nil }

    var packed = axes
    var stride = span
    for axis in (0..<image).reversed() {
      packed[axis].source = stride
      stride *= packed[axis].count
    }
    try readImages(storage, offset, axes[..<image], packed[..<image], span, size, 0)
    return packed
  }

  private func readImages(
    _ storage: StorageID, _ offset: Int, _ outer: ArraySlice<Kernels.Axis>, _ packed: ArraySlice<Kernels.Axis>,
    _ span: Int, _ size: Int, _ position: Int
  ) throws(ConversionError) {
    guard let axis = outer.first, let place = packed.first else {
      let range = position * size..<(position + span) * size
      let image = UnsafeMutableRawBufferPointer(rebasing: scratch[range])
      let descriptor = source.storages[storage.index]
      if offset == 0, image.count == descriptor.byteCount, descriptor.crc32 != nil {
        sum = (storage, try readAll(of: storage, into: image))
      } else {
        try source.read(storage, at: offset * size, into: image)
      }
      return
    }
    for index in 0..<axis.count {
      try readImages(
        storage, offset + index * axis.source, outer.dropFirst(), packed.dropFirst(), span, size,
        position + index * place.source)
    }
  }

  private func readHalves(
    _ storage: StorageID, _ offset: Int, _ axes: [Kernels.Axis], _ size: Int, _ target: UnsafeMutableRawPointer
  ) throws(ConversionError) {
    guard let split = axes.firstIndex(where: { $0.count > 1 }) else {
      preconditionFailure("one element always fits the scratch")
    }
    var first = axes
    var second = axes
    first[split].count = axes[split].count / 2
    second[split].count = axes[split].count - first[split].count
    try read(storage, offset, first, size, target)
    try read(
      storage, offset + first[split].count * axes[split].source, second, size,
      target + first[split].count * axes[split].target * size)
  }
}
