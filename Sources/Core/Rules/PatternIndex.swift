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

  /// Every slot that the key fits, in the order of the rules, with what the holes took.
  func matches(_ key: [Substring]) -> [(slot: Slot, binding: KeyPattern.Binding)] {
    var found: [(slot: Slot, binding: KeyPattern.Binding)] = []
    func walk(_ node: Int, _ position: Int, _ binding: KeyPattern.Binding) {
      let here = nodes[node]
      guard position < key.count else {
        for slot in here.ends { found.append((slot, binding)) }
        return
      }
      if !here.restEnds.isEmpty {
        var extended = binding
        extended["rest"] = key[position...].joined(separator: ".")[...]
        for slot in here.restEnds { found.append((slot, extended)) }
      }
      if !here.literals.isEmpty, let next = here.literals[key[position]] { walk(next, position + 1, binding) }
      for (hole, next) in here.holes {
        guard let text = hole.capture(key[position]) else { continue }
        if let earlier = binding[hole.name] {
          if earlier == text { walk(next, position + 1, binding) }
        } else {
          var extended = binding
          extended[hole.name] = text
          walk(next, position + 1, extended)
        }
      }
    }
    walk(0, 0, KeyPattern.Binding())
    return found.count > 1
      ? found.sorted { ($0.slot.rule, $0.slot.position) < ($1.slot.rule, $1.slot.position) } : found
  }
}
