import HostileShapes
import Testing

@testable import Core

/// Random shapes with zeros and extremes in a recorded checkpoint of every family, through whole conversions.
///
/// A number in a file that makes arithmetic trap would end this process, and with it the test.
@Suite struct HostileShapesTests {
  static let recorded = Result { try HostileShapes() }

  @Test func everyFamilyIsRepresented() throws {
    let models = try Self.recorded.get().models
    for family in Catalogue.all {
      #expect(family.models.contains { models.contains($0.name) }, "record a checkpoint of \(family.name)")
    }
  }

  /// 300 files. The same for the same seed.
  @Test(arguments: UInt64(1)...12) func nothingTraps(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    var random = Entropy(seed: seed)
    var outcomes: [HostileShapes.Outcome] = []
    for _ in 0..<25 { outcomes.append(try Self.recorded.get().run(&random, in: folder.path)) }
    #expect(!outcomes.contains(.refused(.internal)))
    // Files that are all refused at the door would test no conversion.
    #expect(outcomes.contains(.converted))
    #expect(outcomes.contains(.refused(.hostileInput)))
  }
}
