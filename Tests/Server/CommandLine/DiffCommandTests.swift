import ArgumentParser
import Foundation
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("zooport diff")
struct DiffCommandTests {
  /// A safetensors file of one tensor of two float32.
  private func file(_ folder: TemporaryFolder, _ name: String, _ values: [Float]) throws -> String {
    let header = #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
    for value in values { bytes += withUnsafeBytes(of: value, Array.init) }
    let path = folder.path.appending(name).string
    try Data(bytes).write(to: URL(filePath: path))
    return path
  }

  private func status(_ arguments: [String]) throws -> Int32 {
    do {
      let command = try DiffCommand.parse(arguments)
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    }
  }

  @Test("The exit status is that of diff")
  func statuses() throws {
    let folder = try TemporaryFolder()
    let (one, same) = (try file(folder, "a", [1, 2]), try file(folder, "b", [1, 2]))
    let other = try file(folder, "c", [1, 2.001])
    #expect(try status([one, same]) == 0)
    #expect(try status([one, other]) == 1)
    #expect(try status([one, other, "--json"]) == 1)
    #expect(try status([one, other, "--atol", "0.01"]) == 0)
    #expect(try status([one, other, "--rtol", "0.01"]) == 0)
    #expect(try status([one, other, "--tensor_comparison_op", "allclose"]) == 1)
    #expect(try status([one, other, "--tensor_comparison_op", "equal"]) == 1)
    #expect(try status([one, folder.path.appending("absent").string]) == 2)
  }

  @Test(
    "What cannot be meant is refused",
    arguments: [
      ["--atol", "-1"], ["--rtol", "nan"], ["--tensor_comparison_op", "near"], ["--threads", "0"], ["--limit", "-1"],
      ["--tensor_comparison_op", "equal", "--atol", "1"],
    ])
  func refused(_ arguments: [String]) {
    #expect(throws: (any Error).self) { try DiffCommand.parse(["a", "b"] + arguments) }
  }

  @Test("The table names both sides and is cut where it is told to be")
  func table() throws {
    let folder = try TemporaryFolder()
    let comparison = try CheckpointComparison(
      left: try file(folder, "a", [1, 2]), right: try file(folder, "b", [1, 4]))
    #expect(
      DifferenceTable(comparison: comparison, limit: nil).text == """
        KEY  LEFT         RIGHT        DIFFERENCE
        w    float32 [2]  float32 [2]  1 of 2 elements, first at [1], largest difference 2.0

        1 entry differs. Tensors in both: 1. Other values in both: 0.
        """)
    #expect(DifferenceTable(comparison: comparison, limit: 0).text.hasPrefix("... and 1 more\n"))
  }
}
