/// A pickle as plain nodes, read without running anything.
///
/// Old checkpoints keep the shape of their tree, and all keep odd values such as numpy scalars, as dill pickles. Only
/// opcodes that such pickles use are known, and only the classes of `allowed` may be named; anything else is an error
/// that says which. A call is recorded, never made.
///
/// Nodes refer to each other by index, so a pickle that contains itself is no cycle of references.
struct HarmlessPickle {
  enum Node {
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case list([Int])
    case tuple([Int])
    case set([Int])
    case dictionary([(key: Int, value: Int)])
    /// A class or function, `module.name`.
    case global(String)
    /// What calling a global would give, and the state that `BUILD` would set.
    case call(String, arguments: [Int], state: Int?)
  }

  /// All values.
  private(set) var nodes: [Node] = []
  /// The value of the pickle.
  private(set) var root = 0

  private let bytes: [UInt8]
  private let name: String
  private let limits: Limits
  private var position = 0
  private var stack: [Int] = []
  private var marks: [Int] = []
  private var memo: [Int: Int] = [:]

  /// Parses a pickle. `name` is what errors call it.
  ///
  /// Throws `.hostileInput` for a class that is not allowed or a limit that is exceeded, `.unreadableInput` for anything
  /// that is no pickle. Complexity: O(bytes), in time and memory.
  init(_ bytes: [UInt8], name: String, limits: Limits) throws(ConversionError) {
    self.bytes = bytes
    self.name = name
    self.limits = limits
    var result: Int?
    while result == nil { result = try step() }
    root = result ?? 0
  }

  /// True for the classes and functions that a pickle may name.
  private static func isAllowed(module: String, name: String) -> Bool {
    switch module {
    case "builtins", "__builtin__":
      ["dict", "list", "tuple", "set", "frozenset", "complex", "int", "float", "bool", "str", "bytes"].contains(name)
    case "collections": name == "OrderedDict"
    case "dill._dill", "dill.dill": name == "_load_type"
    case "torch.utils._pytree": name == "TreeSpec" || name == "LeafSpec"
    case "torch": DType(rawValue: name) != nil || name == "Size" || name == "device"
    case "numpy": name == "dtype"
    case "numpy.core.multiarray", "numpy._core.multiarray": name == "scalar"
    default: name == "TensorScalarDict" && module.hasSuffix("utils.tensor_scalar_dict")
    }
  }

  private func damaged(_ message: String) -> ConversionError {
    ConversionError(.unreadableInput, "\(name) is no sound pickle: \(message)")
  }

  // MARK: Reading bytes

  private mutating func take(_ count: Int) throws(ConversionError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= bytes.count - position else { throw damaged("it ends early") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private mutating func unsigned(_ count: Int) throws(ConversionError) -> Int {
    var value: UInt64 = 0
    for byte in try take(count).reversed() { value = value << 8 | UInt64(byte) }
    guard let int = Int(exactly: value), int <= bytes.count || count <= 4 else {
      throw ConversionError(.hostileInput, "\(name) states a length of \(value) bytes")
    }
    return int
  }

  private mutating func text(_ count: Int) throws(ConversionError) -> String {
    String(decoding: try take(count), as: UTF8.self)
  }

  private mutating func line() throws(ConversionError) -> String {
    guard let stop = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw damaged("it ends early") }
    defer { position = stop + 1 }
    return String(decoding: bytes[position..<stop], as: UTF8.self)
  }

  /// A little-endian integer in two's complement.
  private mutating func long(_ count: Int) throws(ConversionError) -> Int {
    let digits = try take(count)
    guard digits.count <= 8 else { throw damaged("an integer of \(digits.count) bytes") }
    var value: UInt64 = digits.last.map { $0 & 0x80 != 0 ? .max : 0 } ?? 0
    for byte in digits.reversed() { value = value << 8 | UInt64(byte) }
    return Int(bitPattern: UInt(value))
  }

  // MARK: The stack

  private mutating func push(_ node: Node) {
    nodes.append(node)
    stack.append(nodes.count - 1)
  }

  private mutating func pop() throws(ConversionError) -> Int {
    guard let top = stack.last, stack.count > marks.last ?? 0 else { throw damaged("its stack is empty") }
    stack.removeLast()
    return top
  }

  private mutating func popMark() throws(ConversionError) -> [Int] {
    guard let mark = marks.popLast() else { throw damaged("a mark is missing") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func top() throws(ConversionError) -> Int {
    let top = try pop()
    stack.append(top)
    return top
  }

  private mutating func tuple(_ count: Int) throws(ConversionError) {
    var items: [Int] = []
    for _ in 0..<count { items.append(try pop()) }
    push(.tuple(items.reversed()))
  }

  private mutating func add(_ items: [Int]) throws(ConversionError) {
    let target = try top()
    switch nodes[target] {
    case .list(var list):
      nodes[target] = .none
      list += items
      nodes[target] = .list(list)
    case .set(var set):
      nodes[target] = .none
      set += items
      nodes[target] = .set(set)
    default: throw damaged("an item is added to something that is no list")
    }
  }

  private mutating func setItems(_ items: [Int]) throws(ConversionError) {
    guard items.count % 2 == 0 else { throw damaged("a key without a value") }
    let pairs = stride(from: 0, to: items.count, by: 2).map { (key: items[$0], value: items[$0 + 1]) }
    let target = try top()
    switch nodes[target] {
    case .dictionary(var dictionary):
      nodes[target] = .none
      dictionary += pairs
      nodes[target] = .dictionary(dictionary)
    // An OrderedDict is made by a call and filled afterwards.
    case .call("collections.OrderedDict", let arguments, _) where arguments.isEmpty:
      nodes[target] = .dictionary(pairs)
    default: throw damaged("an item is set in something that is no dictionary")
    }
  }

  // MARK: Classes and calls

  private mutating func pushGlobal(module: String, _ member: String) throws(ConversionError) {
    guard Self.isAllowed(module: module, name: member) else {
      throw ConversionError(
        .hostileInput,
        "\(name) holds a pickled object of \(PythonText.repr("\(module).\(member)")). Nothing is run from a "
          + "checkpoint and this class is not known; remove the value and save the checkpoint again")
    }
    let isBuiltin = module == "__builtin__" || module == "builtins"
    push(.global(isBuiltin ? "builtins.\(member)" : "\(module).\(member)"))
  }

  private mutating func call() throws(ConversionError) {
    let argumentsNode = try pop()
    let calleeNode = try pop()
    guard case .tuple(let arguments) = nodes[argumentsNode], case .global(let callee) = nodes[calleeNode] else {
      throw damaged("a call without a function or arguments")
    }
    // dill writes a built-in class as a call that looks it up by name.
    if callee.hasSuffix("._load_type") {
      guard arguments.count == 1, case .string(let type) = nodes[arguments[0]] else {
        throw damaged("a class without a name")
      }
      if type == "OrderedDict" { return try pushGlobal(module: "collections", type) }
      return try pushGlobal(module: "builtins", type)
    }
    push(.call(callee, arguments: arguments, state: nil))
  }

  private mutating func build() throws(ConversionError) {
    let state = try pop()
    let target = try top()
    guard case .call(let callee, let arguments, nil) = nodes[target] else { throw damaged("a state for no object") }
    nodes[target] = .call(callee, arguments: arguments, state: state)
  }

  private mutating func memoize(_ index: Int) throws(ConversionError) {
    guard memo.count < limits.pickleMemo else {
      throw ConversionError(.hostileInput, "\(name) remembers more than \(limits.pickleMemo) values")
    }
    memo[index] = try top()
  }

  private mutating func recall(_ index: Int) throws(ConversionError) {
    guard let value = memo[index] else { throw damaged("it recalls a value that it never made") }
    stack.append(value)
  }

  // MARK: Opcodes

  /// Carries out one opcode. The result is the value of the pickle at `STOP`, nil before.
  private mutating func step() throws(ConversionError) -> Int? {
    guard position < bytes.count else { throw damaged("it ends early") }
    let opcode = bytes[position]
    position += 1
    switch opcode {
    case 0x80:
      let version = try unsigned(1)
      guard (2...5).contains(version) else { throw damaged("protocol \(version)") }
    case 0x95: _ = try take(8)
    case UInt8(ascii: "."): return try pop()
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popMark()
    case UInt8(ascii: "N"): push(.none)
    case 0x88: push(.bool(true))
    case 0x89: push(.bool(false))
    case UInt8(ascii: "K"): push(.int(try unsigned(1)))
    case UInt8(ascii: "M"): push(.int(try unsigned(2)))
    case UInt8(ascii: "J"): push(.int(try long(4)))
    case 0x8A: push(.int(try long(try unsigned(1))))
    case UInt8(ascii: "G"):
      let bits = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      push(.double(Double(bitPattern: bits)))
    case 0x8C: push(.string(try text(try unsigned(1))))
    case UInt8(ascii: "X"): push(.string(try text(try unsigned(4))))
    case 0x8D: push(.string(try text(try unsigned(8))))
    case UInt8(ascii: "C"): push(.bytes(Array(try take(try unsigned(1)))))
    case UInt8(ascii: "B"): push(.bytes(Array(try take(try unsigned(4)))))
    case 0x8E: push(.bytes(Array(try take(try unsigned(8)))))
    case UInt8(ascii: "]"): push(.list([]))
    case UInt8(ascii: "}"): push(.dictionary([]))
    case UInt8(ascii: ")"): push(.tuple([]))
    case 0x8F: push(.set([]))
    case UInt8(ascii: "l"): push(.list(try popMark()))
    case UInt8(ascii: "t"): push(.tuple(try popMark()))
    case 0x91: push(.set(try popMark()))
    case 0x85: try tuple(1)
    case 0x86: try tuple(2)
    case 0x87: try tuple(3)
    case UInt8(ascii: "a"): try add([try pop()])
    case UInt8(ascii: "e"), 0x90: try add(try popMark())
    case UInt8(ascii: "s"):
      let value = try pop()
      try setItems([try pop(), value])
    case UInt8(ascii: "u"): try setItems(try popMark())
    case UInt8(ascii: "c"):
      let module = try line()
      try pushGlobal(module: module, try line())
    case 0x93:
      let member = try pop()
      let module = try pop()
      guard case .string(let memberName) = nodes[member], case .string(let moduleName) = nodes[module] else {
        throw damaged("a class without a name")
      }
      try pushGlobal(module: moduleName, memberName)
    // Making an object is recorded like a call: the arguments are all there is.
    case UInt8(ascii: "R"), 0x81: try call()
    case UInt8(ascii: "b"): try build()
    case 0x94: try memoize(memo.count)
    case UInt8(ascii: "q"): try memoize(try unsigned(1))
    case UInt8(ascii: "r"): try memoize(try unsigned(4))
    case UInt8(ascii: "h"): try recall(try unsigned(1))
    case UInt8(ascii: "j"): try recall(try unsigned(4))
    default: throw damaged("it uses the opcode 0x\(String(opcode, radix: 16)), which is not needed for plain values")
    }
    return nil
  }
}
