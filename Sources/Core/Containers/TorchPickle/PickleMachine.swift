/// An interpreter for the pickles of `torch.save` that yields plain values: it constructs no object and calls nothing.
///
/// It runs the opcodes of protocols 2 to 5, and those older ones that Python 2 mixed into protocol 2. Names are looked
/// up in `PickleGlobal` and nowhere else. Execution is a loop over opcodes, never recursive; opcodes, stack, memo,
/// nodes and strings are bounded by `Limits`. Source of the opcodes: `pickletools.py` of CPython.
struct PickleMachine<Resolver: PickleStorageResolver> {
  /// Where the bytes come from; several pickles may follow each other.
  var input: PickleInput
  /// Where storages come from.
  var resolver: Resolver
  let limits: Limits
  var heap = PickleHeap()
  /// Instances of classes that were read as plain values.
  var objects: [PickledObject] = []
  /// Storages of float32 arrays that stand for bfloat16, by the arrays' own.
  var narrowed: [StorageID: StorageID] = [:]
  /// Tensors made so far.
  var tensorCount = 0
  private(set) var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo = PickleMemo()
  private var operations = 0
  private var pacer = Interruption.Pacer()
  /// Bytes of texts and of the like.
  private var textBytes = 0
  /// Bytes charged to the memory account of the inputs.
  private var told = 0
  /// Every `EMPTY_TUPLE` is the same node: it cannot change.
  private var emptyTuple: PickleValue?

  /// A machine at the first byte of a pickle.
  init(input: PickleInput, resolver: Resolver, limits: Limits) {
    self.input = input
    self.resolver = resolver
    self.limits = limits
  }

  /// Runs one pickle and returns its tree.
  ///
  /// Throws `.hostileInput` for a name that is not allowed, for cycles, and for whatever exceeds a limit or no pickler
  /// writes; `.unreadableInput` when the bytes end first. Complexity: O(bytes), memory O(values).
  mutating func tree() throws(ConversionError) -> PickleTree {
    defer {
      limits.memory?.release(told)
      told = 0
    }
    let root = try run()
    try account(exactly: true)
    // For each node its height, weight, place in the order and tree; entries are made from items.
    let building = heap.nodes.count * 96 + heap.itemCount * 56
    try limits.take(building)
    told += building
    var builder = PickleTreeBuilder(heap: heap, name: input.name, limits: limits)
    let tree = try builder.build(root)
    heap = PickleHeap()
    stack = []
    memo = PickleMemo()
    textBytes = 0
    return tree
  }

  /// Runs one pickle to its `STOP` and returns the value on top.
  private mutating func run() throws(ConversionError) -> PickleValue {
    stack = []
    marks = []
    memo = PickleMemo()
    heap = PickleHeap()
    emptyTuple = nil
    while true {
      let code = try input.byte()
      operations += 1
      try pacer.step()
      guard operations <= limits.pickleOperations else {
        throw hostile("the pickle has more than \(limits.pickleOperations) opcodes")
      }
      if code == UInt8(ascii: ".") { return try pop() }
      guard let opcode = PickleOpcode(rawValue: code) else {
        throw hostile("the pickle has the opcode 0x\(String(code, radix: 16)), which no checkpoint needs")
      }
      try execute(opcode)
      try account()
      guard stack.count <= limits.treeNodes, heap.nodes.count <= limits.treeNodes else {
        throw hostile("the pickle makes more than \(limits.treeNodes) values")
      }
    }
  }

  /// Tells the account how much the values take by now, when that has grown by a good piece or `exactly` is wanted. Arrays that
  /// grow are twice there for a moment.
  private mutating func account(exactly: Bool = false) throws(ConversionError) {
    guard let memory = limits.memory else { return }
    let size = MemoryLayout<PickleValue>.stride
    let bytes =
      heap.nodes.count * (2 * MemoryLayout<PickleNode>.stride + 32) + heap.itemCount * 2 * size
      + (stack.count + memo.count) * 2 * size + textBytes
    guard bytes > told + (exactly ? 0 : 256 << 10) else { return }
    try memory.take(bytes - told)
    told = bytes
  }

  private mutating func execute(_ opcode: PickleOpcode) throws(ConversionError) {
    switch opcode {
    case .proto:
      let version = try input.byte()
      guard version <= 5 else { throw hostile("the pickle has protocol \(version); 2 to 5 are read") }
    case .frame: try checkFrame()
    case .mark: marks.append(stack.count)
    case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case .popMark: _ = try popMark()
    case .duplicate: push(try top())

    case .none: push(.none)
    case .newTrue: push(.bool(true))
    case .newFalse: push(.bool(false))
    case .int: push(try textInteger(booleans: true))
    case .long: push(try textInteger(booleans: false))
    case .binInt: push(.int(Int(Int32(truncatingIfNeeded: try input.littleEndian(4)))))
    case .binInt1: push(.int(Int(try input.byte())))
    case .binInt2: push(.int(Int(try input.littleEndian(2))))
    case .long1: push(try longInteger(count: Int(try input.byte())))
    case .long4: push(try longInteger(count: Int(Int32(truncatingIfNeeded: try input.littleEndian(4)))))
    case .binFloat: push(.double(Double(bitPattern: UInt64(bigEndian: try input.littleEndian(8)))))

    case .shortBinUnicode: push(.string(try text(1)))
    case .binUnicode: push(.string(try text(4)))
    case .binUnicode8: push(.string(try text(8)))
    case .shortBinString: push(try python2String(1))
    case .binString: push(try python2String(4))
    case .shortBinBytes: push(.bytes(try bytes(1)))
    case .binBytes: push(.bytes(try bytes(4)))
    case .binBytes8, .byteArray8: push(.bytes(try bytes(8)))

    case .emptyList: push(heap.add(.list))
    case .emptyDict: push(heap.add(.dictionary(ordered: false)))
    case .emptySet: push(heap.add(.set))
    case .emptyTuple: pushEmptyTuple()
    case .tuple: push(heap.add(.tuple, try popMark()))
    case .tuple1: push(heap.add(.tuple, try pop(1)))
    case .tuple2: push(heap.add(.tuple, try pop(2)))
    case .tuple3: push(heap.add(.tuple, try pop(3)))
    case .list: push(heap.add(.list, try popMark()))
    case .dict: push(heap.add(.dictionary(ordered: false), try pairs(try popMark())))
    case .frozenSet: push(heap.add(.set, try popMark()))
    case .append: try extend([try pop()], .list)
    case .appends: try extend(try popMark(), .list)
    case .addItems: try extend(try popMark(), .set)
    case .setItem: try extend(try pop(2), .dictionary)
    case .setItems: try extend(try pairs(try popMark()), .dictionary)

    case .binPut: try put(Int(try input.byte()))
    case .longBinPut: try put(Int(try input.littleEndian(4)))
    case .memoize: try put(memo.count)
    case .binGet: try get(Int(try input.byte()))
    case .longBinGet: try get(Int(try input.littleEndian(4)))

    case .global: push(.global(try global(module: try input.line(), name: try input.line())))
    case .stackGlobal: try stackGlobal()
    case .inst:
      let global = try global(module: try input.line(), name: try input.line())
      throw hostile("the pickle instantiates \(global) by an opcode of protocol 0")
    case .reduce, .newObject:
      let arguments = try pop()
      let callable = try pop()
      push(try reduce(callable, arguments))
    case .build:
      let state = try pop()
      try build(try top(), state)
    case .binPersistentID:
      let id = try pop()
      push(.storage(try resolver.storage(try persistentID(id))))
    }
  }

  // MARK: Stack and memo

  mutating func push(_ value: PickleValue) { stack.append(value) }

  private func top() throws(ConversionError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.last else { throw underflow() }
    return value
  }

  private mutating func pop() throws(ConversionError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else { throw underflow() }
    return value
  }

  private mutating func pop(_ count: Int) throws(ConversionError) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else { throw underflow() }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popMark() throws(ConversionError) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw underflow() }
    let items = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return items
  }

  private func underflow() -> ConversionError { hostile("the pickle takes a value that it never put on the stack") }

  private mutating func put(_ index: Int) throws(ConversionError) {
    guard memo.count < limits.pickleMemo else { throw hostile("the memo has more than \(limits.pickleMemo) entries") }
    memo.set(index, try top())
  }

  private mutating func get(_ index: Int) throws(ConversionError) {
    guard let value = memo[index] else { throw hostile("the pickle refers to memo entry \(index), which is not set") }
    push(value)
  }

  private mutating func pushEmptyTuple() {
    let value = emptyTuple ?? heap.add(.tuple)
    emptyTuple = value
    push(value)
  }

  private mutating func extend(
    _ items: [PickleValue], _ kind: PickleHeap.Collection
  ) throws(ConversionError) {
    guard case .node(let index) = try top(), heap.append(items, to: index, as: kind) else {
      throw hostile("the pickle adds items to a value that is no \(kind.rawValue)")
    }
  }

  private func pairs(_ items: [PickleValue]) throws(ConversionError) -> [PickleValue] {
    guard items.count.isMultiple(of: 2) else { throw hostile("the pickle sets a key without a value") }
    return items
  }

  // MARK: Literals

  private mutating func checkFrame() throws(ConversionError) {
    // Frames are a hint for buffering; only their length is worth a check.
    let length = try input.littleEndian(8)
    guard length <= UInt64(limits.pickleBytes) else {
      throw hostile("a frame of the pickle claims \(length) bytes")
    }
  }

  private mutating func length(_ width: Int) throws(ConversionError) -> Int {
    let length = try input.littleEndian(width)
    guard length <= UInt64(limits.pickleString) else {
      throw hostile("a string of the pickle claims \(length) bytes; at most \(limits.pickleString) are read")
    }
    // Before it is taken, as one text may be long.
    textBytes += Int(length) + 32
    if length > 256 << 10 { try account() }
    return Int(length)
  }

  private mutating func text(_ width: Int) throws(ConversionError) -> String {
    String(decoding: try input.take(try length(width)), as: UTF8.self)
  }

  private mutating func bytes(_ width: Int) throws(ConversionError) -> [UInt8] {
    Array(try input.take(try length(width)))
  }

  /// A `str` of Python 2: text when it is UTF-8, as `torch.load` decodes it by default, else bytes.
  private mutating func python2String(_ width: Int) throws(ConversionError) -> PickleValue {
    let bytes = try bytes(width)
    return String(validating: bytes, as: UTF8.self).map(PickleValue.string) ?? .bytes(bytes)
  }

  private mutating func longInteger(count: Int) throws(ConversionError) -> PickleValue {
    guard (0...limits.pickleInteger).contains(count) else {
      throw hostile("an integer of the pickle claims \(count) bytes; at most \(limits.pickleInteger) are read")
    }
    return DecimalInteger.value(littleEndian: Array(try input.take(count)))
  }

  private mutating func textInteger(booleans: Bool) throws(ConversionError) -> PickleValue {
    var line = try input.line()
    if booleans, line == "00" || line == "01" { return .bool(line == "01") }
    if line.hasSuffix("L") { line.removeLast() }
    guard let value = Int(line) else { throw hostile("the pickle has an integer that does not fit 64 bits") }
    return .int(value)
  }

  // MARK: Names

  private func global(module: String, name: String) throws(ConversionError) -> PickleGlobal {
    if let global = PickleGlobal(module: module, name: name) { return global }
    return try foreign(module: module, name: name)
  }

  private mutating func stackGlobal() throws(ConversionError) {
    let names = try pop(2)
    guard case .string(let module) = names[0], case .string(let name) = names[1] else {
      throw hostile("the pickle looks a global up by something that is no string")
    }
    push(.global(try global(module: module, name: name)))
  }

  /// An error that names the file and the place in it.
  func hostile(_ message: String) -> ConversionError {
    ConversionError(.hostileInput, "\(input.name): \(message) (byte \(input.position))")
  }
}
