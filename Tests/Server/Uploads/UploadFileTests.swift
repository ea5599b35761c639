import Crypto
import Foundation
import NIOCore
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

@Suite("Upload file")
struct UploadFileTests {
  private static let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

  private func append(_ file: UploadFile, _ range: Range<Int>) throws {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: 1000) {
      try file.append(ByteBuffer(bytes: Self.content[start..<min(start + 1000, range.upperBound)]))
    }
  }

  @Test("The digest is that of the whole, whether its beginning was kept, is behind, or is lost")
  func arrears() throws {
    let expected = SHA256.hash(data: Data(Self.content)).hexadecimal
    for kept in [nil, 0, 30_000, 60_000] as [Int?] {
      let folder = try TemporaryFolder()
      let path = folder.path.appending("x")
      var digest: PrefixDigest?
      do {
        let file = try UploadFile(creating: path)
        try append(file, 0..<(kept ?? 0))
        digest = kept == nil ? nil : file.digest
        try append(file, (kept ?? 0)..<60_000)
        // What a crash left beyond the committed offset.
        try append(file, 60_000..<70_000)
        try file.synchronize()
      }
      let file = try UploadFile(resuming: path, at: 60_000, digest: digest)
      #expect(file.digest.count == kept ?? 0)
      try append(file, 60_000..<61_000)
      #expect(file.digest.count == min(61_000, kept == 60_000 ? 61_000 : (kept ?? 0) + 8000))
      try append(file, 61_000..<100_000)
      #expect(try file.close() == expected, "\(kept ?? -1)")
      #expect(try Data(contentsOf: URL(filePath: path.string)) == Data(Self.content))
    }
  }

  @Test("A digest that is ahead of the file is of no use")
  func ahead() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("x")
    let first = try UploadFile(creating: path)
    try append(first, 0..<5000)
    let file = try UploadFile(resuming: path, at: 3000, digest: first.digest)
    try append(file, 3000..<100_000)
    #expect(try file.close() == SHA256.hash(data: Data(Self.content)).hexadecimal)
  }

  @Test("Rolling back takes bytes and digest back together")
  func rollBack() throws {
    let folder = try TemporaryFolder()
    let file = try UploadFile(creating: folder.path.appending("x"))
    try append(file, 0..<4000)
    let digest = file.digest
    try append(file, 50_000..<60_000)
    try file.roll(backTo: 4000, digest: digest)
    try append(file, 4000..<100_000)
    #expect(try file.close() == SHA256.hash(data: Data(Self.content)).hexadecimal)
    #expect(throws: Errno.badFileDescriptor) { try file.roll(backTo: 0, digest: digest) }
  }
}
