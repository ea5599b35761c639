/// A list whose first two elements lie in the value itself, so that the short lists of a large plan take no memory of
/// their own: a plan has one of each kind for every key.
struct ShortList<Element> {
  private var first: Element?
  private var second: Element?
  private var others: [Element] = []

  /// An empty list.
  init() {}

  /// A list of one element.
  init(_ element: Element) { first = element }

  /// The same element a number of times.
  init(repeating element: Element, count: Int) { for _ in 0..<count { append(element) } }

  /// Puts an element at the end.
  mutating func append(_ element: Element) {
    if first == nil {
      first = element
    } else if second == nil {
      second = element
    } else {
      others.append(element)
    }
  }

  /// Puts an element at a position, before the one that is there. Complexity: O(elements behind it).
  mutating func insert(_ element: Element, at position: Int) {
    switch position {
    case 0:
      if let first { insert(first, at: 1) }
      first = element
    case 1:
      if let second { others.insert(second, at: 0) }
      second = element
    default: others.insert(element, at: position - 2)
    }
  }

  /// Takes an element out. Complexity: O(elements behind it).
  mutating func remove(at position: Int) {
    if position > 1 {
      others.remove(at: position - 2)
    } else {
      if position == 0 { first = second }
      second = others.isEmpty ? nil : others.removeFirst()
    }
  }
}

extension ShortList: RandomAccessCollection, MutableCollection {
  var startIndex: Int { 0 }
  var endIndex: Int { first == nil ? 0 : second == nil ? 1 : 2 + others.count }

  subscript(position: Int) -> Element {
    get {
      switch position {
      case 0: first!
      case 1: second!
      default: others[position - 2]
      }
    }
    set {
      precondition(position < endIndex, "position \(position) is behind the end of the list")
      switch position {
      case 0: first = newValue
      case 1: second = newValue
      default: others[position - 2] = newValue
      }
    }
  }
}

extension ShortList: Sendable where Element: Sendable {}
extension ShortList: Equatable where Element: Equatable {}
extension ShortList: Hashable where Element: Hashable {}
