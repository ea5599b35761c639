import API
import Core
import Crypto
import Foundation
import HTTPTypes
import Inputs
package import SystemPackage

/// Downloads one output into a folder, going on after lost connections and after an earlier run that was interrupted.
///
/// Bytes go to `<name>.<digest>.part`, with the first digits of the digest: what is left of an output of the same name,
/// but of another job, is not gone on with. The digest is checked before the file gets its name, by one rename after a
/// sync: a file under the final name is complete and right.
package final class OutputDownload {
  private let client: ServiceClient
  private let output: RemoteJob.Output
  private let target: FilePath
  private let part: FilePath
  private let report: (_ done: Int, _ total: Int) -> Void
  private var hash = SHA256()
  private var size = 0
  /// A link that stands for the token; nil until it is asked for, and when the last one is worth nothing any more.
  private var link: String?
  /// False for a server that gives no link, and for an output that is elsewhere.
  private var hasLinks: Bool

  /// The part of the answer that a download needs.
  private struct Link: Decodable {
    let url: String
  }

  package init(
    _ output: RemoteJob.Output, into folder: FilePath, client: ServiceClient,
    report: @escaping (_ done: Int, _ total: Int) -> Void
  ) {
    self.client = client
    self.output = output
    self.report = report
    hasLinks = output.url.hasPrefix("/")
    target = folder.appending(output.name.description)
    // A server may say anything, and this becomes a path.
    let digest = output.sha256.filter(\.isHexDigit).prefix(8)
    part = target.removingLastComponent().appending("\(output.name.file).\(digest).part")
  }

  /// Downloads what is missing and answers the path. A file that is there already, with the right digest, is left alone.
  package func run() throws -> FilePath {
    do {
      if let size = Self.size(of: target), size == output.size {
        try hash(target, upTo: size)
        if hash.finalize().hexadecimal == output.sha256 { return target }
        (hash, self.size) = (SHA256(), 0)
      }
      if output.name.component != nil { try makeFolder() }
      let file = try FileDescriptor.open(
        part, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite, .groupRead, .otherRead])
      defer { try? file.close() }
      let rest = min(Self.size(of: part) ?? 0, output.size)
      try hash(part, upTo: rest)
      try client.insisting { attempts in
        while size < output.size { try append(to: file, attempts) }
      }
      guard size == output.size, hash.finalize().hexadecimal == output.sha256 else {
        // Bytes of an older file, or damage: none of them can be trusted.
        try? FileManager.default.removeItem(atPath: part.string)
        throw ClientFailure("\(output.name) arrived damaged and was removed; download it again")
      }
      guard ftruncate(file.rawValue, off_t(size)) == 0, fsync(file.rawValue) == 0,
        rename(part.string, target.string) == 0
      else { throw Errno(rawValue: errno) }
      return target
    } catch let error as Errno {
      throw ClientFailure("\(target) cannot be written: \(error)")
    }
  }

  /// Makes the folder of a component. It may be there for another file.
  private func makeFolder() throws {
    guard mkdir(target.removingLastComponent().string, 0o777) == 0 || errno == EEXIST else {
      throw Errno(rawValue: errno)
    }
  }

  private func append(to file: FileDescriptor, _ attempts: Attempts) throws {
    let start = size
    let tag = EntityTag(sha256: output.sha256).value
    let headers = start == 0 ? [] : [("Range", "bytes=\(start)-"), ("If-Range", tag)]
    let isFresh = link == nil
    if isFresh { try askForLink() }
    let isLinked = link != nil
    let answer = try client.once(.get, link ?? output.url, headers: headers, sendsToken: !isLinked) {
      [self] head, bytes in
      guard start == 0 || head.status == 206 else {
        throw ClientFailure("\(output.name) is another file now; remove \(part) and try again")
      }
      guard size + bytes.count <= output.size else {
        throw ClientFailure("the server sends more of \(output.name) than \(output.size) bytes")
      }
      _ = try file.writeAll(toAbsoluteOffset: Int64(size), bytes)
      hash.update(bufferPointer: bytes)
      size += bytes.count
      attempts.progressed()
      report(size, output.size)
    }
    if isLinked, answer.head.status == 401 {
      // It has expired, or its token has. The token itself is asked with when a new link is no better.
      link = nil
      if isFresh { hasLinks = false }
      return
    }
    _ = try client.check(answer)
    guard size > start else { throw ClientFailure("\(client.base) sends nothing of \(output.name)") }
  }

  /// Asks for a link, so that the token is not in the requests that take long. Servers before links answer 404 or 405.
  private func askForLink() throws {
    guard hasLinks else { return }
    let answer = try client.once(.post, output.url + "/links")
    hasLinks = answer.head.status == 201
    if hasLinks { link = try client.decode(Link.self, answer).url }
  }

  private func hash(_ path: FilePath, upTo end: Int) throws {
    guard end > 0 else { return }
    let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
    defer { try? file.close() }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while size < end {
      let space = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - size)])
      let count = try file.read(fromAbsoluteOffset: Int64(size), into: space)
      guard count > 0 else { throw Errno.ioError }
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: space[..<count]))
      size += count
    }
  }

  private static func size(of path: FilePath) -> Int? {
    var status = stat()
    guard stat(path.string, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Int(status.st_size)
  }
}
