package import API
import Core
import Crypto
import Foundation
import HTTPTypes
import Inputs
import SystemPackage

/// Sends one file to a server by tus, going on after lost connections, restarts of the server, and an earlier run of the
/// command that was interrupted.
///
/// The digest that the server made is compared with that of the file as it was read, so that neither a fault on the way nor
/// a file that changed meanwhile goes unnoticed.
package final class ResumableUpload {
  private let client: ServiceClient
  private let path: String
  private let name: FileName
  private let file: FileDescriptor
  private let size: Int
  private let memory: UploadMemory
  private let report: (_ done: Int, _ total: Int) -> Void
  private var hash = SHA256()
  /// Bytes of the file in `hash`.
  private var hashed = 0

  /// Opens a file. `report` is told how far the upload is, in bytes. Throws `ClientFailure` with status 5 when it cannot be
  /// read.
  package init(
    _ path: String, client: ServiceClient, environment: [String: String] = ProcessInfo.processInfo.environment,
    report: @escaping (_ done: Int, _ total: Int) -> Void
  ) throws {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw ClientFailure("\(path) is no file that can be read", exitStatus: 5)
    }
    guard let name = FilePath(path).lastComponent.flatMap({ FileName($0.string) }) else {
      throw ClientFailure("\(path) cannot be sent under its name: \(FileName.rule)", exitStatus: 5)
    }
    do {
      file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec])
    } catch {
      throw ClientFailure("\(path) cannot be read: \(error)", exitStatus: 5)
    }
    self.client = client
    self.path = path
    self.name = name
    self.report = report
    size = Int(status.st_size)
    memory = UploadMemory(
      server: client.base, file: URL(filePath: path).standardizedFileURL.path, size: size,
      time: status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec, environment: environment)
  }

  deinit { try? file.close() }

  /// Sends what the server does not have yet and answers the id of the upload.
  package func run() throws -> Identifier {
    var address = memory.address
    let known: RemoteUpload = try client.insisting { attempts in
      if address == nil { address = try create() }
      guard let current = address else { throw ClientFailure("\(client.base) gave the upload no address") }
      guard var offset = try offset(of: current) else {
        // It expired, or the server has a new data folder.
        address = nil
        memory.remember(nil)
        throw ServiceClient.Transient(failure: ClientFailure("\(path): the upload is gone"), pause: .zero)
      }
      while offset < size {
        offset = try append(to: current, at: offset, attempts)
        attempts.progressed()
      }
      return try client.decode(RemoteUpload.self, client.check(client.once(.get, current)))
    }
    guard known.size == size, known.sha256 == (try digest()) else {
      memory.remember(nil)
      if let address { _ = try? client.once(.delete, address) }
      throw ClientFailure("\(path) changed while it was sent; try again")
    }
    return known.id
  }

  private static let version = [(name: "Tus-Resumable", value: TusProtocol.version)]

  private func create() throws -> String {
    let answer = try client.check(
      client.once(
        .post, "/v1/uploads",
        headers: Self.version + [
          ("Upload-Length", String(size)),
          ("Upload-Metadata", "filename \(Data(name.description.utf8).base64EncodedString())"),
        ]))
    guard let location = answer.head.headers[.location], location.hasPrefix("/v1/uploads/") else {
      throw ClientFailure("\(client.base) speaks no tus, or is behind a proxy that rewrites it")
    }
    memory.remember(location)
    return location
  }

  /// The offset at which the upload goes on; nil when there is no such upload any more.
  private func offset(of address: String) throws -> Int? {
    let answer = try client.check(
      client.once(.head, address, headers: Self.version), accepting: [404, 410])
    guard answer.head.status == 200 else { return nil }
    guard let offset = answer.head.headers[.uploadOffset].flatMap({ Int($0) }), (0...size).contains(offset) else {
      return nil
    }
    return offset
  }

  /// Sends everything from `offset` on. Answers the new offset.
  private func append(to address: String, at offset: Int, _ attempts: Attempts) throws -> Int {
    try hash(upTo: offset)
    var sent = offset
    let answer: ServiceClient.Answer
    do {
      answer = try client.once(
        .patch, address,
        headers: Self.version + [("Content-Type", TusProtocol.contentType), ("Upload-Offset", String(offset))],
        body: .file(file, offset..<size) { [self] bytes in
          if hashed == sent {
            hash.update(bufferPointer: bytes)
            hashed += bytes.count
          }
          sent += bytes.count
          attempts.progressed()
          report(sent, size)
        })
    } catch let error as Errno {
      var status = stat()
      let isShorter = fstat(file.rawValue, &status) == 0 && Int(status.st_size) < size
      throw ClientFailure(
        isShorter ? "\(path) became shorter while it was sent" : "\(path) cannot be read: \(error)", exitStatus: 5)
    }
    // Another offset than this side believed: look again.
    if answer.head.status == 409 {
      throw ServiceClient.Transient(failure: ClientFailure("\(path): the server has another offset"), pause: .zero)
    }
    guard let next = try client.check(answer).head.headers[.uploadOffset].flatMap({ Int($0) }), next > offset else {
      throw ClientFailure("\(client.base) took no bytes of \(path)")
    }
    return next
  }

  private func digest() throws -> String {
    try hash(upTo: size)
    return hash.finalize().hexadecimal
  }

  /// Reads what an earlier run, or a lost connection, has kept from the digest.
  private func hash(upTo end: Int) throws {
    guard hashed < end else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while hashed < end {
      let space = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - hashed)])
      let count: Int
      do {
        count = try file.read(fromAbsoluteOffset: Int64(hashed), into: space)
      } catch {
        throw ClientFailure("\(path) cannot be read: \(error)", exitStatus: 5)
      }
      guard count > 0 else { throw ClientFailure("\(path) became shorter while it was sent", exitStatus: 5) }
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: space[..<count]))
      hashed += count
    }
  }
}
