package import Core
import Foundation
import Synchronization

/// Whole conversions of recorded checkpoints in which some shapes were replaced by ones with zeros and extremes.
///
/// A run is good when it converts, or is refused for a reason that is the input's; it is bad when it traps, hangs, or blames
/// Zooport itself.
package struct HostileShapes: Sendable {
  /// What became of one file.
  package enum Outcome: Sendable, Equatable {
    /// It was converted.
    case converted
    /// It was refused.
    case refused(ErrorKind)
  }

  /// The recorded checkpoints: every model and pair of formats that the fixtures hold.
  let cases: [RecordedCheckpoint]

  /// Names of the models that have a recorded checkpoint.
  package var models: Set<String> { Set(cases.map(\.model)) }

  /// Loads the recorded checkpoints of the fixtures. Throws when one cannot be read.
  package init() throws {
    cases = try RecordedCheckpoint.all()
  }

  /// Output bytes beyond which a conversion is stopped: writing them would show nothing more.
  private static let enoughBytes = 32 << 20

  /// Makes one file from `random` in `folder`, plans and converts it.
  package func run(_ random: inout some RandomNumberGenerator, in folder: String) throws -> Outcome {
    guard let recorded = cases.randomElement(using: &random) else { return .converted }
    let damaged = try DamagedCheckpoint(recorded, &random)
    let checkpoint = folder + "/checkpoint." + damaged.fileExtension
    let config = folder + "/config." + (recorded.source == "hf" ? "json" : "yaml")
    try Data(damaged.bytes(in: folder)).write(to: URL(filePath: checkpoint))
    try Data(damaged.config.utf8).write(to: URL(filePath: config))
    var options = ConversionOptions()
    options.memoryBudget = 16 << 20
    options.threads = 1
    options.durable = false
    options.dropUnmatchedKeys = Bool.random(using: &random)
    options.verify = Bool.random(using: &random)
    let request = ConversionRequest(
      command: .convert, model: recorded.model, sourceFormat: recorded.source,
      targetFormat: recorded.targets.randomElement(using: &random) ?? recorded.target, config: config,
      checkpoint: [checkpoint], outputDirectory: folder + "/out", options: options)
    defer { try? FileManager.default.removeItem(atPath: folder + "/out") }
    do throws(ConversionError) {
      _ = JSONWriter.render(.object(try PlanReport(request).document))
      _ = try Conversion.run(request, monitor: Stopper())
      return .converted
    } catch {
      return .refused(error.kind)
    }
  }

  /// Stops a conversion whose output is large, as the shapes of an honest file may make it.
  private final class Stopper: ConversionMonitor {
    private let isTooLarge = Atomic(false)

    func report(_ progress: ConversionProgress) {
      if progress.bytesTotal > HostileShapes.enoughBytes { isTooLarge.store(true, ordering: .relaxed) }
    }

    var isCancelled: Bool { isTooLarge.load(ordering: .relaxed) }
  }
}

/// Random numbers that repeat: SplitMix64, after the bytes of a fuzzer have been used up.
package struct Entropy: RandomNumberGenerator {
  private var bytes: ArraySlice<UInt8>
  private var state: UInt64

  /// Numbers from a seed alone.
  package init(seed: UInt64) {
    bytes = []
    state = seed
  }

  /// Numbers from bytes; afterwards from their sum.
  package init(_ bytes: [UInt8]) {
    self.bytes = bytes[...]
    state = bytes.reduce(0) { $0 &* 31 &+ UInt64($1) }
  }

  /// The next number.
  package mutating func next() -> UInt64 {
    if bytes.count >= 2 {
      // Two bytes choose among all that is chosen from here, so that a fuzzer can change one choice by one byte.
      defer { bytes = bytes.dropFirst(2) }
      return UInt64(bytes[bytes.startIndex]) << 56 | UInt64(bytes[bytes.startIndex + 1])
    }
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
