import CFuzzer
import Foundation

/// Fuzzes one parser.
///
///     Fuzz unpack TARGET DIR   write the kept inputs as files
///     Fuzz seeded COUNT        convert COUNT recorded checkpoints with random shapes, the same ones each time
///     Fuzz TARGET [ARG...]     hand over to libFuzzer, where the build has it; see scripts/fuzz.sh
@main enum Fuzz {
  /// libFuzzer starts itself again to merge corpora, with its own arguments only; this tells the child its target.
  private static let variable = "ZOOPORT_FUZZ_TARGET"

  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if let target = ProcessInfo.processInfo.environment[variable].flatMap({ FuzzTarget(rawValue: $0) }) {
      return fuzz(target, arguments)
    }
    switch arguments.first.flatMap({ FuzzTarget(rawValue: $0) }) {
    case let target?: fuzz(target, Array(arguments.dropFirst()))
    case nil where arguments.count == 3 && arguments[0] == "unpack":
      guard let target = FuzzTarget(rawValue: arguments[1]) else { usage() }
      try Corpus(of: target).unpack(into: URL(fileURLWithPath: arguments[2]))
    case nil where arguments.count == 2 && arguments[0] == "seeded":
      guard let count = Int(arguments[1]), count > 0 else { usage() }
      print("\(count) files with random shapes, \(try FuzzTarget.seededShapes(count)) converted, the others refused")
    case nil: usage()
    }
  }

  private static func usage() -> Never {
    let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: "|")
    FileHandle.standardError.write(Data("Usage: Fuzz unpack TARGET DIR | seeded COUNT | \(names) [ARG...]\n".utf8))
    exit(2)
  }

  private static func fuzz(_ target: FuzzTarget, _ arguments: [String]) {
    #if FUZZING
      chosen = target
      setenv(variable, target.rawValue, 1)
      // libFuzzer keeps and may change the vector, so it lives as long as the process.
      var count = Int32(arguments.count + 1)
      let vector = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: arguments.count + 2)
      for (index, text) in ([CommandLine.arguments[0]] + arguments).enumerated() { vector[index] = strdup(text) }
      vector[arguments.count + 1] = nil
      var start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = vector
      exit(
        LLVMFuzzerRunDriver(&count, &start) { data, size in
          Fuzz.chosen.run([UInt8](UnsafeBufferPointer(start: data, count: size)))
          return 0
        })
    #else
      FileHandle.standardError.write(Data("This build has no libFuzzer; use scripts/fuzz.sh.\n".utf8))
      exit(2)
    #endif
  }

  #if FUZZING
    /// Set once before libFuzzer starts; its callback cannot capture.
    nonisolated(unsafe) private static var chosen = FuzzTarget.pickle
  #endif
}
