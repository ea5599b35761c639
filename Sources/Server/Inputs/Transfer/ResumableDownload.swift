import Core
import Crypto
import Foundation
import SystemPackage

/// A download that goes on where it stopped: after a dropped connection, a restart of the service, or kill -9.
///
/// The bytes are in `path`, what they are of in `path` + `.json`. A range is asked for with `If-Range`, and what comes is
/// compared with what is known, so that bytes of two versions are never joined; another version, another range, or the
/// whole file, makes it begin again. Where the digest is known it decides, and no tag is looked at: the servers of a
/// content network need not agree on one. The digest is computed as bytes arrive; after a restart what is there is read once.
final class ResumableDownload {
  /// What the partial file holds the beginning of.
  private struct Note: Codable, Equatable {
    var size: Int?
    var sha256: String?
    /// The validator that the server of the bytes sent, which `If-Range` asks for; another than the hub's.
    var tag: String?
    /// The boot of the machine: bytes without a digest are not trusted when a power cut may have lost some of them.
    var boot: String?
  }

  private let fetcher: Fetcher
  private let remote: RemoteFile
  private let path: FilePath
  private let isCancelled: @Sendable () -> Bool
  private let progress: @Sendable (Int) -> Void

  private var note = Note()
  private var file: FileDescriptor?
  /// Bytes in the file.
  private var position = 0
  private var hash = SHA256()
  /// Bytes that `hash` has seen.
  private var hashed = 0
  /// The most bytes that were there, to tell a server that goes on from one that begins again and again.
  private var furthest = 0
  /// Times that a complete file had another digest.
  private var mismatches = 0

  private static let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""

  /// `progress` is told how many bytes of the file are there, from time to time.
  init(
    _ remote: RemoteFile, to path: FilePath, fetcher: Fetcher, isCancelled: @escaping @Sendable () -> Bool,
    progress: @escaping @Sendable (Int) -> Void
  ) {
    self.remote = remote
    self.path = path
    self.fetcher = fetcher
    self.isCancelled = isCancelled
    self.progress = progress
  }

  private var notePath: FilePath { FilePath(path.string + ".json") }

  /// Downloads what is missing, checks size and digest, and syncs. Blocks. Removes its note when the file is complete.
  ///
  /// Throws `.fetchFailed` (host and reason), `.diskFull`, `.outputFailed` or `.cancelled`; what is there stays for the
  /// next try.
  func run() throws(TransferFailure) {
    do {
      file = try FileDescriptor.open(
        path, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite, .groupRead])
    } catch {
      throw TransferFailure(writing: error)
    }
    defer { try? file?.close() }
    try takeUp()
    try fetcher.retrying(.long, isCancelled: isCancelled, progress: { furthest }) { () throws(TransferFailure) in
      if let size = note.size, position == size, size > 0 { return try verify() }
      try request()
      try verify()
    }
    guard let file, fsync(file.rawValue) == 0 else { throw TransferFailure(writing: Errno(rawValue: errno)) }
    unlink(notePath.string)
  }

  // MARK: Beginnings

  /// Goes on with what an earlier try left, if it is of the same version.
  private func takeUp() throws(TransferFailure) {
    if let data = FileManager.default.contents(atPath: notePath.string),
      let found = try? JSONDecoder().decode(Note.self, from: data), found.size == remote.size,
      found.sha256 == remote.sha256, found.sha256 != nil || found.tag != nil && found.boot == Self.boot
    {
      note = found
      do {
        position = Int(try file?.seek(offset: 0, from: .end) ?? 0)
      } catch {
        throw TransferFailure(writing: error)
      }
      if let size = note.size, position > size { try beginAgain() }
    } else {
      note = Note(size: remote.size, sha256: remote.sha256, boot: Self.boot)
      try beginAgain()
    }
    progress(position)
  }

  /// Forgets all bytes.
  private func beginAgain() throws(TransferFailure) {
    guard let file, ftruncate(file.rawValue, 0) == 0 else { throw TransferFailure(writing: Errno(rawValue: errno)) }
    position = 0
    hash = SHA256()
    hashed = 0
    note.tag = nil
    note.size = remote.size
  }

  private func writeNote() throws(TransferFailure) {
    do {
      try JSONEncoder().encode(note).write(to: URL(filePath: notePath.string), options: .atomic)
    } catch {
      let isFull = (error as? CocoaError)?.code == .fileWriteOutOfSpace
      throw TransferFailure(writing: isFull ? Errno.noSpace : error)
    }
  }

  // MARK: Transfer

  private func request() throws(TransferFailure) {
    var request = TransferRequest(.get, remote.url, token: remote.token)
    if position > 0, note.tag == nil, note.sha256 == nil { try beginAgain() }
    if position > 0 {
      request.first = position
      request.ifRange = note.sha256 == nil ? note.tag : nil
    }
    var isFirst = true
    let answer = try fetcher.send(request, isCancelled: isCancelled) { [self] (head, bytes) throws(TransferFailure) in
      if isFirst { try begin(head) }
      isFirst = false
      try write(bytes)
    }
    switch answer.head.status {
    case 200, 206:
      // An empty body calls nobody.
      if isFirst { try begin(answer.head) }
    case 416 where position > 0:
      try beginAgain()
      throw TransferFailure("\(remote.url.host) refuses to go on with \(remote.name)", mayPass: true)
    default: throw TransferFailure(answer.head, from: answer.url)
    }
  }

  /// Looks at the head before the first byte of its body is written.
  private func begin(_ head: TransferHead) throws(TransferFailure) {
    let total: Int?
    if head.status == 206 {
      let isPart = position > 0
      guard let range = head.contentRange, range.first == position else {
        if isPart { try beginAgain() }
        throw TransferFailure(
          "\(remote.url.host) answered with another range of \(remote.name) than was asked for", mayPass: isPart)
      }
      // Not every server heeds If-Range.
      let isOther = note.sha256 == nil && head.isOther(than: note.tag)
      if isPart, isOther || range.total ?? note.size != note.size {
        try beginAgain()
        throw TransferFailure("\(remote.name) at \(remote.url.host) changed while it was downloaded", mayPass: true)
      }
      let rest = head.size("content-length").map { position.addingReportingOverflow($0) }
      total = range.total ?? rest.map { $0.overflow ? .max : $0.partialValue }
    } else {
      // The whole file, though a part was asked for: another version, or a server without ranges.
      if position > 0 { try beginAgain() }
      total = head.size("content-length")
    }
    // The tag of the hub is not that of the store that it redirects to.
    if !remote.isOnHub, head.isOther(than: remote.tag) {
      throw TransferFailure(
        "\(remote.name) at \(remote.url.host) changed after its server was asked for it", mayPass: true,
        endsAttempt: true)
    }
    if let total, let size = remote.size, total != size {
      if position > 0 {
        try beginAgain()
        throw TransferFailure("\(remote.name) at \(remote.url.host) changed while it was downloaded", mayPass: true)
      }
      throw TransferFailure(
        "\(remote.url.host) announces \(total) bytes for \(remote.name), which should have \(size)")
    }
    if let total {
      guard total <= fetcher.limits.bytes else { throw tooLarge("has \(total) bytes") }
      note.size = total
    }
    note.tag = head.validator
    try writeNote()
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(TransferFailure) {
    // A chunked body announces no length, and an announced one may lie.
    guard bytes.count <= fetcher.limits.bytes - position else { throw tooLarge("is larger than that") }
    if let size = note.size, bytes.count > size - position {
      throw TransferFailure("\(remote.url.host) sends more than the \(size) bytes of \(remote.name)")
    }
    try catchUp()
    do {
      try file?.writeAll(toAbsoluteOffset: Int64(position), bytes)
    } catch {
      throw TransferFailure(writing: error)
    }
    if note.sha256 != nil {
      hash.update(bufferPointer: bytes)
      hashed += bytes.count
    }
    position += bytes.count
    furthest = max(furthest, position)
    progress(position)
  }

  private func tooLarge(_ what: String) -> TransferFailure {
    TransferFailure(
      "the file \(remote.name) from \(remote.url.host) \(what); the limit of the service is \(fetcher.limits.bytes)")
  }

  // MARK: Checks

  /// Lets the hash see what an earlier process wrote.
  private func catchUp() throws(TransferFailure) {
    guard note.sha256 != nil, hashed < position, let file else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    while hashed < position {
      if isCancelled() { throw .cancelled }
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, position - hashed)])
      let count = (try? file.read(fromAbsoluteOffset: Int64(hashed), into: piece)) ?? 0
      guard count > 0 else { throw TransferFailure(writing: Errno.ioError) }
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: piece[..<count]))
      hashed += count
    }
  }

  private func verify() throws(TransferFailure) {
    if let size = note.size, position < size {
      throw TransferFailure(
        "the download from \(remote.url.host) ended after \(position) of \(size) bytes", mayPass: true)
    }
    guard let expected = note.sha256 else { return }
    try catchUp()
    guard hash.finalize().hexadecimal != expected else { return }
    mismatches += 1
    try beginAgain()
    throw TransferFailure(
      "\(remote.name) from \(remote.url.host) does not have the SHA-256 that the hub states", mayPass: mismatches < 2)
  }
}
