import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Options of a submission")
struct OptionsReaderTests {
  private func read(_ members: [String: JSONTree], target: String = "hf") -> OptionsReader {
    OptionsReader(.object(members), command: .convert, target: Format(target))
  }

  @Test("Every option is taken over")
  func accepted() {
    let reader = read([
      "drop_unmatched_keys": .bool(true), "output_format": .string("safetensors"), "max_shard_size": .string("5GB"),
      "verify": .bool(true), "dtype": .string("bfloat16"), "one_checkpoint": .bool(true),
    ])
    #expect(reader.findings.isEmpty)
    #expect(reader.options.dropUnmatchedKeys)
    #expect(reader.options.verify)
    #expect(reader.options.oneCheckpoint)
    #expect(
      read(["one_checkpoint": .bool(true)], target: "cs-2.9").findings.map(\.subject) == ["options.one_checkpoint"])
    #expect(reader.options.dtype == .bfloat16)
    #expect(reader.options.outputFormat == .safetensors)
    #expect(reader.options.maxShardSize == 5_000_000_000)
    #expect(read(["max_shard_size": .number(4096)]).options.maxShardSize == 4096)
    #expect(read(["max_shard_size": .number(0)]).options.maxShardSize == 0)
    #expect(read(["max_shard_size": .string("0")]).options.maxShardSize == 0)
    #expect(read(["max_shard_size": .number(0)], target: "cs-1.8").findings.isEmpty)
    #expect(read(["max_shard_size": .null, "output_format": .null]).options == ConversionOptions())
    #expect(OptionsReader(nil, command: .convert, target: .hf).options == ConversionOptions())
  }

  @Test(
    "A refusal names the option",
    arguments: [
      ("drop_unmatched_keys", JSONTree.string("yes"), "hf"), ("output_format", .string("zip"), "hf"),
      ("output_format", .bool(true), "hf"), ("output_format", .string("hdf5"), "hf"),
      ("output_format", .string("safetensors"), "cs-1.8"), ("max_shard_size", .string("3XB"), "hf"),
      ("max_shard_size", .number(-1), "hf"), ("max_shard_size", .number(1.5), "hf"),
      ("max_shard_size", .number(.infinity), "hf"), ("max_shard_size", .string("-1GB"), "hf"),
      ("max_shard_size", .string("5GB"), "cs-1.8"), ("verify", .number(1), "hf"), ("dtype", .string("int8"), "hf"),
      ("zork", .null, "hf"), ("memory_budget", .number(1), "hf"),
    ] as [(String, JSONTree, String)])
  func refused(_ name: String, _ value: JSONTree, _ target: String) {
    #expect(read([name: value], target: target).findings.map(\.subject) == ["options.\(name)"])
  }

  @Test("Options that an earlier version stored are still read")
  func stored() throws {
    var expected = ConversionOptions()
    expected.dropUnmatchedKeys = true
    #expect(try JSONBody.decode(ConversionOptions.self, from: #"{"drop_unmatched_keys":true}"#) == expected)
    expected.outputFormat = .bin
    expected.maxShardSize = 7
    expected.verify = true
    #expect(try JSONBody.decode(ConversionOptions.self, from: JSONBody.text(expected)) == expected)
  }
}
