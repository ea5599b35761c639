import Foundation
import OrderedCollections
import Testing

@testable import Core

/// Exchange of files with the programs that checkpoints come from and go to. Skipped unless the environment names a
/// Python: `ZOOPORT_PYTHON` with h5py, `ZOOPORT_CEREBRAS_PYTHON` with cerebras_pytorch as well.
struct HDF5InteropTests {
  private static let environment = ProcessInfo.processInfo.environment
  static let python = environment["ZOOPORT_PYTHON"]
  static let cerebrasPython = environment["ZOOPORT_CEREBRAS_PYTHON"]

  /// Runs a program of `scripts/` and parses the JSON object in the last line that it prints.
  private static func run(_ python: String?, _ script: String, _ arguments: String...) throws -> ConfigObject {
    let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(python))
    process.arguments = [repository.appendingPathComponent("scripts/\(script)").path] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(script) failed")
    let last = try #require(bytes.split(separator: UInt8(ascii: "\n")).last)
    guard case .object(let object) = try JSONReader.parse(Array(last), name: script) else {
      throw ConversionError(.internal, "\(script) printed no object")
    }
    return object
  }

  /// A checkpoint with every element type, tied and nested entries, odd keys, and enough tensors for a B-tree of
  /// two levels.
  private static func writeSample(_ path: String) throws -> HDF5Reader {
    typealias Output = ObjectTree<OutputTensor>
    let dtypes: [DType] = [.float64, .float32, .float16, .bfloat16, .int64, .int32, .int16, .uint8, .bool]
    var storages: [Int] = []
    func tensor(_ dtype: DType, _ shape: [Int]) -> Output {
      storages.append(shape.reduce(dtype.size, *))
      return .tensor(OutputTensor(dtype: dtype, shape: shape, storage: storages.count - 1))
    }
    var model = dtypes.map { Output.Entry(.string("weights.\($0.rawValue)"), tensor($0, [3, 5])) }
    model.append(.init(.string("scalar"), tensor(.float32, [])))
    model.append(.init(.string("empty"), tensor(.float16, [0, 4])))
    model.append(.init(.string("tied"), model[1].value))
    model.append(.init(.string("in/a/group"), tensor(.int32, [2])))
    model.append(.init(.string("é ü"), tensor(.uint8, [2])))
    for index in 0..<300 { model.append(.init(.string("layer.\(index).bias"), tensor(.float32, [2]))) }
    let tree = Output.dictionary(
      [
        .init(.string("model"), .dictionary(model, ordered: true)),
        .init(
          .string("optimizer"),
          .dictionary(
            [
              .init(.int(0), .list([.double(0.1), .double(1e-300), .double(-.infinity)])),
              .init(.string("betas"), .tuple([.int(.max), .longInt("123456789012345678901234567890")])),
            ], ordered: false)),
        .init(.string("flags"), .list([.bool(true), .bool(false), .none])),
        .init(.string("text"), .string("héllo \"x\" \\ \n")),
        .init(.string("bytes"), .bytes([97, 0, 255])),
        .init(.string("complex"), .opaque(.complex(1, 2))),
        .init(.string("dtype"), .opaque(.dtype("torch.bfloat16"))),
        .init(.string("device"), .opaque(.device("cuda", 1))),
      ], ordered: false)
    // Small bytes, so that no float is a signalling NaN and no boolean anything but 0 and 1.
    try HDF5RoundTripTests.write(tree, storages: storages, to: path) { UInt8(truncatingIfNeeded: ($0 + $1) % 2) }
    return try HDF5Reader(file: InputFile(path: path))
  }

  /// Compares every tensor of a source with a listing; `name` turns a key into its name there. The result says how
  /// many were compared.
  private static func compare(
    _ source: some TensorSource, _ listing: ConfigObject, name: (String) -> String = { $0 }
  ) throws -> Int {
    var tensors: [(String, TensorDescriptor)] = []
    source.tree.forEachLeaf { key, value in
      if case .tensor(let tensor) = value { tensors.append((key, tensor)) }
    }
    for (key, tensor) in tensors {
      guard case .object(let entry)? = listing[name(key)] else {
        Issue.record("\(key) is missing")
        continue
      }
      #expect(entry["dtype"] == .string(tensor.dtype.rawValue), "\(key)")
      #expect(entry["shape"] == .array(tensor.shape.map { .int($0) }), "\(key)")
      #expect(entry["sha256"] == .string(try source.digest(tensor)), "\(key)")
    }
    return tensors.count
  }

  @Test(.enabled(if: python != nil)) func h5pyReadsWhatIsWritten() throws {
    let folder = try TemporaryFolder()
    let reader = try Self.writeSample(folder.file("sample.mdl"))
    let output = try Self.run(Self.python, "list_with_h5py.py", folder.file("sample.mdl"))
    guard case .object(let datasets)? = output["datasets"], case .object(let attributes)? = output["attributes"] else {
      Issue.record("no listing")
      return
    }
    let count = try Self.compare(reader, datasets) { $0 == "model.tied" ? "model.weights.float32" : $0 }
    #expect(count == 314)
    // Four objects are datasets without elements; the tied tensor has none of its own.
    #expect(datasets.count == count - 1 + 4)
    #expect(attributes["__version__"] == "0.5")
    #expect(attributes["__SUCCESS__"] == "True")
    #expect(attributes["__cstorch_version__"] == "2.10.0")
    #expect(attributes.count == 4 + count + 13)
    print("h5py read \(datasets.count) datasets and \(attributes.count) root attributes, all equal")
  }

  @Test(.enabled(if: python != nil)) func readsWhatH5pyWrites() throws {
    let folder = try TemporaryFolder()
    let listing = try Self.run(Self.python, "write_with_h5py.py", folder.file("h5py.mdl"))
    let reader = try HDF5Reader(file: InputFile(path: folder.file("h5py.mdl")), chunkCacheBytes: 16 << 10)
    #expect(try Self.compare(reader, listing) == 12)
    print("12 datasets that h5py wrote in different ways are read with equal values")
  }

  @Test(.enabled(if: python != nil)) func namesNewerFeatures() throws {
    let folder = try TemporaryFolder()
    _ = try Self.run(Self.python, "write_with_h5py.py", folder.file("latest.mdl"), "latest")
    let error = try #require(throws: ConversionError.self) {
      try HDF5Reader(file: InputFile(path: folder.file("latest.mdl")))
    }
    #expect(error.message.contains("superblock version"), "\(error.message)")
  }

  @Test(.enabled(if: cerebrasPython != nil)) func cstorchLoadsWhatIsWritten() throws {
    let folder = try TemporaryFolder()
    let reader = try Self.writeSample(folder.file("sample.mdl"))
    let listing = try Self.run(Self.cerebrasPython, "list_with_cstorch.py", folder.file("sample.mdl"))
    let count = try Self.compare(reader, listing)
    #expect(count == 314)
    func repr(_ key: String) -> ConfigValue? {
      if case .object(let entry)? = listing[key] { entry["repr"] } else { nil }
    }
    guard case .object(let tied)? = listing["model.tied"] else {
      Issue.record("model.tied is missing")
      return
    }
    #expect(tied["same_as"] == "model.weights.float32")
    let expected: [String: ConfigValue] = [
      "optimizer.0.0": "0.1", "optimizer.0.1": "1e-300", "optimizer.0.2": "-inf",
      "optimizer.betas.0": "9223372036854775807", "optimizer.betas.1": "123456789012345678901234567890",
      "flags.0": "True", "flags.1": "False", "flags.2": "None", "text": "'héllo \"x\" \\\\ \\n'",
      "bytes": "DeferredObject(b'a\\x00\\xff')", "complex": "DeferredObject((1+2j))",
      "dtype": "DeferredObject(torch.bfloat16)", "device": "DeferredObject(cuda:1)",
    ]
    for (key, text) in expected { #expect(repr(key) == text, "\(key)") }
    #expect(listing.count == count + expected.count)
    print("cstorch.load read \(count) tensors (1 tied) and \(expected.count) other values, all equal")
  }
}
