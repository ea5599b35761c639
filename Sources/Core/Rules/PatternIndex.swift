/// Finds the patterns that a key fits, without trying every pattern: a trie over segments.
///
/// Complexity: building O(total segments); looking up O(segments of the key) for keys whose segments are mostly literal.
struct PatternIndex: Sendable {
  /// A pattern of a rule: which rule, and its position among the rule's patterns on this side.
  struct Slot: Sendable, Hashable {
    let rule: Int
    let position: Int
  }

  private struct Node: Sendable {
    var literals: [Substring: Int] = [:]
    var holes: [(hole: KeyPattern.Hole, node: Int)] = []
    var ends: [Slot] = []
    var restEnds: [Slot] = []
  }

  private var nodes = [Node()]

  /// An index over the patterns that each rule claims on one side.
  init(_ patterns: [(slot: Slot, pattern: KeyPattern)]) {
    for (slot, pattern) in patterns { insert(slot, pattern) }
  }

  private mutating func insert(_ slot: Slot, _ pattern: KeyPattern) {
    var node = 0
    for segment in pattern.segments {
      switch segment {
      case .literal(let text):
        if let next = nodes[node].literals[text[...]] {
          node = next
        } else {
          nodes.append(Node())
          nodes[node].literals[text[...]] = nodes.count - 1
          node = nodes.count - 1
        }
      case .hole(let hole):
        if let next = nodes[node].holes.first(where: { $0.hole == hole }) {
          node = next.node
        } else {
          nodes.append(Node())
          nodes[node].holes.append((hole, nodes.count - 1))
          node = nodes.count - 1
        }
      case .rest:
        nodes[node].restEnds.append(slot)
        return
      }
    }
    nodes[node].ends.append(slot)
  }

  /// The slots that a key fits, and room that searches use again.
  struct Matches {
    /// In the order of the rules, with what the holes took.
    fileprivate(set) var found: [(slot: Slot, binding: KeyPattern.Binding)] = []
    fileprivate var segments: [Substring] = []
  }

  /// Every slot that the key fits, in the order of the rules, with what the holes took.
  func matches(_ key: [Substring]) -> [(slot: Slot, binding: KeyPattern.Binding)] {
    var found: [(slot: Slot, binding: KeyPattern.Binding)] = []
    search(key, &found)
    return found
  }

  /// As `matches`, for searches of many keys one after the other.
  func find(_ key: String, _ matches: inout Matches) {
    matches.segments.removeAll(keepingCapacity: true)
    matches.found.removeAll(keepingCapacity: true)
    key.appendKeySegments(to: &matches.segments)
    search(matches.segments, &matches.found)
  }

  private func search(_ key: [Substring], _ found: inout [(slot: Slot, binding: KeyPattern.Binding)]) {
    walk(from: 0, key, 0, KeyPattern.Binding(), &found)
    guard found.count > 1 else { return }
    found.sort { ($0.slot.rule, $0.slot.position) < ($1.slot.rule, $1.slot.position) }
  }

  // Nodes are looked into where they lie: a copy of one would count references for each of its tables.
  private func walk(
    from node: Int, _ key: [Substring], _ position: Int, _ binding: KeyPattern.Binding,
    _ found: inout [(slot: Slot, binding: KeyPattern.Binding)]
  ) {
    guard position < key.count else {
      for slot in nodes[node].ends { found.append((slot, binding)) }
      return
    }
    if !nodes[node].restEnds.isEmpty {
      let extended = binding.with("rest", key[position...].joined(separator: "."))
      for slot in nodes[node].restEnds { found.append((slot, extended)) }
    }
    if !nodes[node].literals.isEmpty, let next = nodes[node].literals[key[position]] {
      walk(from: next, key, position + 1, binding, &found)
    }
    for branch in nodes[node].holes.indices {
      guard let text = nodes[node].holes[branch].hole.capture(key[position]) else { continue }
      let (name, next) = (nodes[node].holes[branch].hole.name, nodes[node].holes[branch].node)
      if let earlier = binding[name] {
        if earlier == text { walk(from: next, key, position + 1, binding, &found) }
      } else {
        walk(from: next, key, position + 1, binding.with(name, String(text)), &found)
      }
    }
  }
}
