/// A pattern over the dot-separated segments of a key: `h.{layer}.ln_1.{leaf}`.
///
/// A segment is literal text, or one hole with optional literal text before and after it: `{stack}_embeddings`. What a hole
/// takes depends on its name, without any regular expression:
/// - `{leaf}` takes `weight` or `bias`;
/// - `{name=a|b}` takes one of the listed words;
/// - `{rest}` as the last segment takes one or more whole segments;
/// - any other name, such as `{layer}` or `{expert}`, takes decimal digits.
///
/// The same hole stands for the same text on both sides of a rule.
struct KeyPattern: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
  CustomStringConvertible
{
  enum Segment: Sendable, Hashable {
    case literal(String)
    case hole(Hole)
    case rest
  }

  struct Hole: Sendable, Hashable {
    let prefix: String
    let name: String
    let words: [String]?
    let suffix: String

    /// The text that the hole takes of a segment, or nil when the segment does not fit.
    func capture(_ segment: Substring) -> Substring? {
      var text = segment
      if !prefix.isEmpty || !suffix.isEmpty {
        guard segment.utf8.count > prefix.utf8.count + suffix.utf8.count, segment.hasPrefix(prefix),
          segment.hasSuffix(suffix)
        else { return nil }
        text = segment.dropFirst(prefix.count).dropLast(suffix.count)
      }
      if let words { return words.contains { $0 == text } ? text : nil }
      return text.utf8.allSatisfy { (48...57).contains($0) } ? text : nil
    }
  }

  /// The text of each hole, by name. A pattern has few holes, so that a short list in the order of names beats a hash table.
  struct Binding: Sendable, Hashable {
    private var texts = ShortList<Text>()

    private struct Text: Hashable {
      let hole: String
      // A string of its own: texts are short, and a part of the key would count as a reference to it.
      let text: String
    }

    /// No hole.
    init() {}

    /// The text that a hole takes; nil for a hole that takes none. Complexity: O(holes).
    subscript(_ hole: String) -> String? {
      get { texts.first { $0.hole == hole }?.text }
      set {
        if let position = texts.firstIndex(where: { $0.hole >= hole }) {
          if texts[position].hole == hole { texts.remove(at: position) }
          if let newValue { texts.insert(Text(hole: hole, text: newValue), at: position) }
        } else if let newValue {
          texts.append(Text(hole: hole, text: newValue))
        }
      }
    }

    /// The same with another text for one hole.
    func with(_ hole: String, _ text: String) -> Binding {
      var binding = self
      binding[hole] = text
      return binding
    }

    /// True when another binding has the same texts, but for one hole.
    func agrees(with other: Binding, except hole: String) -> Bool {
      texts.allSatisfy { $0.hole == hole || other[$0.hole] == $0.text }
    }
  }

  let segments: [Segment]
  /// The text that the pattern was written as.
  let description: String

  /// The pattern that a literal in a family spells.
  init(stringLiteral text: String) { self.init(text) }

  /// Reads a pattern. An empty text is the pattern without segments, useful as the prefix of a scope.
  init(_ text: String) {
    description = text
    segments = text.split(separator: ".").map { part in
      guard let open = part.firstIndex(of: "{"), let close = part.firstIndex(of: "}"), open < close else {
        return .literal(String(part))
      }
      let inside = part[part.index(after: open)..<close]
      if inside == "rest" { return .rest }
      let pieces = inside.split(separator: "=", maxSplits: 1)
      let name = String(pieces[0])
      let words = pieces.count == 2 ? pieces[1].split(separator: "|").map(String.init) : nil
      return .hole(
        Hole(
          prefix: String(part[..<open]), name: name, words: name == "leaf" ? words ?? ["weight", "bias"] : words,
          suffix: String(part[part.index(after: close)...])))
    }
  }

  /// The pattern with another one before it.
  func under(_ prefix: KeyPattern) -> KeyPattern {
    if prefix.segments.isEmpty { return self }
    if segments.isEmpty { return prefix }
    return KeyPattern("\(prefix.description).\(description)")
  }

  /// The names of all holes.
  var holes: Set<String> {
    Set(
      segments.compactMap { segment in
        switch segment {
        case .literal: nil
        case .hole(let hole): hole.name
        case .rest: "rest"
        }
      })
  }

  /// The holes in the order in which they come, each name once.
  var orderedHoles: [Hole] {
    var holes: [Hole] = []
    for case .hole(let hole) in segments where !holes.contains(where: { $0.name == hole.name }) { holes.append(hole) }
    return holes
  }

  /// The literal text behind the last hole: every key that fits ends with it.
  var literalTail: String {
    var tail = description
    if let hole = description.lastIndex(of: "}") { tail.removeSubrange(...hole) }
    return tail
  }

  /// The names of the holes that take decimal digits.
  var numericHoles: Set<String> {
    Set(segments.compactMap { if case .hole(let hole) = $0, hole.words == nil { hole.name } else { nil } })
  }

  /// What the holes take when the whole key fits, else nil. Complexity: O(length of the key).
  func match(_ key: [Substring]) -> Binding? {
    var binding = Binding()
    for (index, segment) in segments.enumerated() {
      guard index < key.count else { return nil }
      switch segment {
      case .literal(let text): if key[index] != text { return nil }
      case .hole(let hole):
        guard let text = hole.capture(key[index]) else { return nil }
        if let earlier = binding[hole.name], earlier != text { return nil }
        binding[hole.name] = String(text)
      case .rest:
        binding["rest"] = key[index...].joined(separator: ".")
        return binding
      }
    }
    return key.count == segments.count ? binding : nil
  }

  /// The key that results from putting texts into the holes. Precondition: every hole has a text.
  func fill(_ binding: Binding) -> String {
    var key = ""
    key.reserveCapacity(description.utf8.count + 8)
    for segment in segments {
      if !key.isEmpty { key += "." }
      switch segment {
      case .literal(let text): key += text
      case .hole(let hole):
        if !hole.prefix.isEmpty { key += hole.prefix }
        key += binding[hole.name] ?? ""
        if !hole.suffix.isEmpty { key += hole.suffix }
      case .rest: key += binding["rest"] ?? ""
      }
    }
    return key
  }

  /// The same pattern with every numeric hole replaced by a number and every word hole by a word: an example key.
  ///
  /// `choice` counts the combinations of words, holes in the order of their names; it wraps around at `choiceCount`.
  func example(number: Int = 0, choice: Int = 0) -> String {
    var binding = Binding()
    for segment in segments {
      switch segment {
      case .literal: break
      case .hole(let hole): binding[hole.name] = "\(number)"
      case .rest: binding["rest"] = "rest.weight"
      }
    }
    var remaining = choice
    for (name, words) in wordHoles {
      binding[name] = words[remaining % words.count]
      remaining /= words.count
    }
    return fill(binding)
  }

  /// The number of combinations of words that the holes take.
  var choiceCount: Int { wordHoles.reduce(1) { $0 * $1.words.count } }

  private var wordHoles: [(name: String, words: [String])] {
    var words: [String: [String]] = [:]
    for case .hole(let hole) in segments { words[hole.name] = hole.words }
    return words.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}

extension StringProtocol where SubSequence == Substring {
  /// The segments of a key between its dots; empty ones are left out. Complexity: O(length).
  var keySegments: [Substring] {
    var segments: [Substring] = []
    appendKeySegments(to: &segments)
    return segments
  }

  /// Adds the segments to a list. Complexity: O(length).
  func appendKeySegments(to segments: inout [Substring]) {
    // A dot is one byte of UTF-8 wherever it stands, so there is no need to look for the ends of characters.
    var start = startIndex
    var position = start
    while position < endIndex {
      let next = utf8.index(after: position)
      if utf8[position] == UInt8(ascii: ".") {
        if start < position { segments.append(self[start..<position]) }
        start = next
      }
      position = next
    }
    if start < endIndex { segments.append(self[start..<endIndex]) }
  }
}
