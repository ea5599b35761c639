import Crypto
import OrderedCollections
import Testing

@testable import Core

/// What a sample checkpoint holds, as the tool that wrote it saw it: `<sample>.listing.json`.
struct CheckpointListing: Sendable {
  /// The folder of the shared samples, or nil where they are absent.
  static let folder: String? = SharedFiles.exist ? SharedFiles.folder + "/formats" : nil

  /// Path of the checkpoint.
  let path: String
  /// True when no reader should accept the file.
  let isError: Bool
  /// Key to expectation.
  let entries: ConfigObject

  /// Reads the listing of a sample.
  init(_ sample: String) throws {
    path = "\(try #require(Self.folder))/samples/\(sample)"
    let file = try InputFile(path: path + ".listing.json")
    let bytes = try file.bytes(at: 0, count: file.size)
    guard case .object(let listing) = try JSONReader.parse(bytes, name: sample) else {
      throw ConversionError(.internal, "bad listing")
    }
    isError = listing["expected_error"] == .bool(true)
    if case .object(let entries)? = listing["entries"] { self.entries = entries } else { entries = [:] }
  }

  /// Compares every entry with a source; every difference is an issue of the test.
  func expectMatch(_ source: some TensorSource) throws {
    var values: [String: ObjectTree<TensorDescriptor>] = [:]
    collect(source.tree, path: nil, into: &values)
    for (key, expectation) in entries {
      guard case .object(let fields) = expectation, let value = values[key] else {
        Issue.record("\(key) is missing in \(path)")
        continue
      }
      try expect(value, fields, key: key, source)
    }
    var leaves = 0
    source.tree.forEachLeaf { _, _ in leaves += 1 }
    let containers = entries.values.count { fields in
      guard case .object(let fields) = fields, case .string(let type)? = fields["python"] else { return false }
      return ["dict", "list"].contains(type) || (type == "tuple" && fields["repr"] == nil)
    }
    let nested = entries.values.count {
      $0.field("python") == "set" || ($0.field("python") == "tuple" && $0.field("repr") != nil)
    }
    // The listings show a set or a pickled tuple as one entry; in the samples each has two members.
    #expect(leaves == entries.count - containers + nested, "number of leaves in \(path)")
  }

  private func collect(
    _ tree: ObjectTree<TensorDescriptor>, path: String?, into values: inout [String: ObjectTree<TensorDescriptor>]
  ) {
    func below(_ name: String) -> String { path.map { "\($0).\(name)" } ?? name }
    values[path ?? ""] = tree
    switch tree {
    case .dictionary(let entries, _):
      for entry in entries { collect(entry.value, path: below(entry.key.description), into: &values) }
    case .list(let items), .tuple(let items), .set(let items):
      for (index, item) in items.enumerated() { collect(item, path: below("\(index)"), into: &values) }
    default: break
    }
  }

  private func expect(
    _ value: ObjectTree<TensorDescriptor>, _ fields: ConfigObject, key: String, _ source: some TensorSource
  ) throws {
    if case .string(let digest)? = fields["sha256"] {
      guard case .tensor(let tensor) = value else {
        Issue.record("\(key) is no tensor")
        return
      }
      #expect(.string(tensor.dtype.rawValue) == fields["dtype"] ?? fields["numpy"], "\(key)")
      #expect(.array(tensor.shape.map { .int($0) }) == fields["shape"], "\(key)")
      #expect(tensor.isContiguous && tensor.offset == 0)
      #expect(try source.digest(tensor) == digest, "\(key)")
      return
    }
    switch (fields["python"], fields["value"], fields["repr"]) {
    case ("int", .number(let number)?, _): #expect(value == .int(try #require(number.int)), "\(key)")
    case ("bool", .bool(let flag)?, _): #expect(value == .bool(flag), "\(key)")
    case ("str", .string(let text)?, _): #expect(value == .string(text), "\(key)")
    case ("NoneType", _, _): #expect(value == .none, "\(key)")
    case ("float", .number(let number)?, _): #expect(value == .double(number.double), "\(key)")
    case ("float", "inf", _): #expect(value == .double(.infinity), "\(key)")
    case ("float", "nan", _):
      guard case .double(let number) = value, number.isNaN else {
        Issue.record("\(key) is not NaN")
        return
      }
    case ("dict", .object([:])?, _): #expect(value == .dictionary([], ordered: false), "\(key)")
    case ("list", .array([])?, _): #expect(value == .list([]), "\(key)")
    case ("tuple", .array([])?, _): #expect(value == .tuple([]), "\(key)")
    case (_, _, "{1, 2}"): #expect(value == .set([.int(1), .int(2)]), "\(key)")
    case (_, _, "(1+2j)"): #expect(value == .opaque(.complex(1, 2)), "\(key)")
    case (_, _, "2.5"): #expect(value == .double(2.5), "\(key)")
    case (_, _, "torch.float16"): #expect(value == .opaque(.dtype("torch.float16")), "\(key)")
    case (_, _, "b'abc'"): #expect(value == .bytes(Array("abc".utf8)), "\(key)")
    case (_, _, "(1, 'a')"): #expect(value == .tuple([.int(1), .string("a")]), "\(key)")
    default: Issue.record("the listing of \(key) is not understood: \(fields)")
    }
  }
}

extension ConfigValue {
  fileprivate func field(_ name: String) -> String? {
    guard case .object(let fields) = self, case .string(let text)? = fields[name] else { return nil }
    return text
  }
}

extension TensorSource {
  /// The bytes of a contiguous tensor, read in one piece.
  func bytes(_ tensor: TensorDescriptor) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: tensor.byteCount)
    try bytes.withUnsafeMutableBytes { try read(tensor.storage, at: 0, into: $0) }
    return bytes
  }

  /// The SHA-256 of the bytes of a contiguous tensor in hexadecimal.
  func digest(_ tensor: TensorDescriptor) throws -> String {
    SHA256.hash(data: try bytes(tensor)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
