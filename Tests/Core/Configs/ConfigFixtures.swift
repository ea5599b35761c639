import Foundation
import OrderedCollections

@testable import Core

/// The full sets of files beside the project, where they are present, and a Python to compare with.
enum ConfigFixtures {
  /// The folder of the full sets: `ZOOPORT_SHARED`, or `shared` beside the project.
  static let shared: URL? = {
    let beside = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../../shared")
    let folder = ProcessInfo.processInfo.environment["ZOOPORT_SHARED"].map { URL(filePath: $0) } ?? beside
    return FileManager.default.fileExists(atPath: folder.path) ? folder.standardizedFileURL : nil
  }()

  /// An interpreter with PyYAML, named by `ZOOPORT_PYTHON`.
  static let python = ProcessInfo.processInfo.environment["ZOOPORT_PYTHON"]

  /// Every config of the recorded conversions, in a fixed order.
  static func goldenConfigs() -> [URL] {
    guard let shared else { return [] }
    let files = ["cs-1.8", "cs-2.10"].flatMap { release in
      (FileManager.default.enumerator(
        at: shared.appending(path: "goldens/\(release)"), includingPropertiesForKeys: nil)?
        .compactMap { $0 as? URL } ?? [])
    }
    return files.filter { ["yaml", "json"].contains($0.pathExtension) }.sorted { $0.path < $1.path }
  }

  /// The bytes of a file.
  static func bytes(_ file: URL) throws -> [UInt8] { [UInt8](try Data(contentsOf: file)) }

  /// A value with the type of everything in it spelt out, as one line: what `typed` below prints in Python.
  static func typed(_ value: ConfigValue) -> String { JSONWriter.renderCompact(typedValue(value)) }

  private static func typedValue(_ value: ConfigValue) -> ConfigValue {
    switch value {
    case .null: ["n"]
    case .bool(let flag): ["b", .string(flag ? "True" : "False")]
    case .number(let number):
      if case .double = number.value {
        ["f", .string(number.pythonDescription)]
      } else {
        ["i", .string(number.pythonDescription)]
      }
    case .string(let text): ["s", .string(text)]
    case .timestamp(let text): ["t", .string(text)]
    case .array(let values): ["l", .array(values.map(typedValue))]
    case .object(let object):
      [
        "d",
        .array(
          object.map { key, value in
            switch ConfigKey(key) {
            case .string(let text): [["s", .string(text)], typedValue(value)]
            case .scalar(let scalar): [typedValue(scalar), typedValue(value)]
            }
          }),
      ]
    }
  }

  /// What Python reads from each text, typed; `error` where it refuses.
  static func readByPython(_ documents: [(syntax: ConfigDocument.Syntax, text: String)]) throws -> [String] {
    let input = ConfigValue.array(documents.map { [.string($0.syntax.rawValue), .string($0.text)] })
    return try runPython(script + "\nanswer(lambda d: typed(load(*d)))", input)
  }

  /// What PyYAML dumps for each value, given as JSON; then what it reads from that, typed.
  static func dumpedByPython(_ values: [ConfigValue]) throws -> [(text: String, typed: String)] {
    let dump = "yaml.dump(d, indent=4, sort_keys=False, allow_unicode=i % 2 == 0, default_flow_style=i % 3 == 0)"
    let lines = try runPython(
      script
        + "\ni = 0\ndef both(d):\n  global i\n  i += 1\n  t = \(dump)\n  return [t, typed(load('yaml', t))]\nanswer(both)",
      .array(values))
    return try lines.map { line in
      guard case .array(let pair) = try JSONReader.parse(Array(line.utf8), name: "python"), pair.count == 2,
        case .string(let text) = pair[0]
      else { return ("", "no answer") }
      return (text, JSONWriter.renderCompact(pair[1]))
    }
  }

  private static let script = """
    import json, sys, yaml
    class Loader(yaml.SafeLoader): pass
    class Moment(str): pass
    def moment(l, n):
      try:
        l.construct_yaml_timestamp(n)
        return Moment(n.value)
      except (ValueError, AttributeError):
        return n.value
    Loader.add_constructor('tag:yaml.org,2002:timestamp', moment)
    for tag in ('value', 'merge'):
      Loader.add_constructor('tag:yaml.org,2002:' + tag, lambda l, n: n.value)
    def load(syntax, text):
      return json.loads(text) if syntax == 'json' else yaml.load(text, Loader)
    def typed(v):
      if v is None: return ['n']
      if isinstance(v, bool): return ['b', str(v)]
      if isinstance(v, int): return ['i', str(v)]
      if isinstance(v, float): return ['f', repr(v)]
      if isinstance(v, Moment): return ['t', v]
      if isinstance(v, str): return ['s', v]
      if isinstance(v, list): return ['l', [typed(x) for x in v]]
      if isinstance(v, dict): return ['d', [[typed(str(k) if isinstance(k, Moment) else k), typed(x)] for k, x in v.items()]]
      return [type(v).__name__]
    def answer(f):
      for d in json.load(open(sys.argv[1], encoding='utf-8')):
        try: line = json.dumps(f(d), separators=(',', ':'), ensure_ascii=False)
        except Exception: line = 'error'
        sys.stdout.buffer.write((line + '\\0').encode())
    """

  private static func runPython(_ script: String, _ input: ConfigValue) throws -> [String] {
    let file = FileManager.default.temporaryDirectory.appending(path: "configs-\(UUID().uuidString).json")
    try JSONWriter.renderCompact(input).write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [python ?? "python3", "-c", script, file.path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self).split(separator: "\0").map(String.init)
  }
}
