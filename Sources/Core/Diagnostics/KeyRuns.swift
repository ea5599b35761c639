import OrderedCollections

/// Keys that differ in numbers only, as one text: `h.{0..23}.ln_1.weight`.
enum KeyRuns {
  /// The keys with each group that differs in the numbers of one place written as one, in the order of their first keys.
  ///
  /// A key with more than one number that varies is grouped by the first place that makes a group: in
  /// `h.{0..1}.mlp.experts.3.weight` the expert stays. Complexity: O(keys x segments).
  static func collapsed(_ keys: [String]) -> [String] {
    groups(keys).map(\.text)
  }

  /// A text and how many keys it stands for.
  static func groups(_ keys: [String]) -> [(text: String, count: Int)] {
    // Numbers of one place vary while everything else is equal; with several places, the earliest is grouped first, and the
    // groups of it that have equal numbers are grouped by the next.
    var items = keys.map { Item(pieces: pieces($0), count: 1) }
    let places = items.map(\.pieces.count).max() ?? 0
    for place in stride(from: 1, to: places, by: 2) {
      var groups = OrderedDictionary<[String], [Item]>()
      for item in items {
        var shape = item.pieces
        if place < shape.count, Int(shape[place]).map(String.init) == shape[place] { shape[place] = "{}" }
        groups[shape, default: []].append(item)
      }
      items = groups.elements.map { shape, members in
        guard members.count > 1 else { return members[0] }
        var merged = members[0]
        let numbers = Set(members.compactMap { Int($0.pieces[place]) }).sorted()
        if numbers.count > 1 { merged.pieces[place] = range(numbers) }
        merged.count = members.reduce(0) { $0 + $1.count }
        return merged
      }
    }
    return items.map { ($0.pieces.joined(), $0.count) }
  }

  private struct Item {
    /// Text and numbers in turn, beginning with text.
    var pieces: [String]
    var count: Int
  }

  /// Keys with more numbers than any model has are left as they are.
  private static let longest = 32

  private static func pieces(_ key: String) -> [String] {
    var pieces = [""]
    for character in key {
      let isDigit = character.isASCII && character.isNumber
      if isDigit != pieces.count.isMultiple(of: 2) { pieces.append("") }
      guard pieces.count <= longest else { return [key] }
      pieces[pieces.count - 1].append(character)
    }
    return pieces
  }

  /// `{0..23}`, or `{0..3,7}` with gaps.
  private static func range(_ numbers: [Int]) -> String {
    var runs: [(first: Int, last: Int)] = []
    for number in numbers {
      if let last = runs.last, last.last + 1 == number {
        runs[runs.count - 1].last = number
      } else {
        runs.append((number, number))
      }
    }
    return "{" + runs.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)..\($0.last)" }.joined(separator: ",")
      + "}"
  }
}
