import API
import HTTPTypes
import Hummingbird
import NIOCore
import SystemPackage

/// Several files sent as one uncompressed tar archive, made while it is sent.
///
/// All files are open before the head is sent, so removing them meanwhile does not cut the download short. The length is
/// known, so a client sees when a transfer broke off. Memory is that of one piece. No ranges: each output alone has them.
struct TarDownload: Sendable {
  /// A file of the archive.
  struct Entry: Sendable {
    let path: FilePath
    let name: FileName
    let size: Int
  }

  let name: FileName
  let entries: [Entry]
  /// The time that every entry gets.
  let time: Timestamp

  /// The answer to GET or HEAD. Throws `Fault` when a file cannot be opened or has another size than it had, and
  /// `Errno.noSuchFileOrDirectory` when one is gone: the caller knows whether it may be.
  func response(to request: Request, sent: @escaping @Sendable (Int) -> Void) async throws -> Response {
    var parts: [(header: [UInt8], entry: Entry)] = []
    var length = TarArchive.end.count
    for entry in entries {
      let header = TarArchive.header(name: entry.name.description, size: entry.size, time: time.milliseconds / 1000)
      parts.append((header, entry))
      length += header.count + entry.size + TarArchive.padding(after: entry.size)
    }
    var headers: HTTPFields = [
      .contentType: "application/x-tar", .contentDisposition: name.contentDisposition,
      .cacheControl: "private, no-cache",
      .xContentTypeOptions: "nosniff",
    ]
    if request.method == .head {
      headers[.contentLength] = String(length)
      return Response(status: .ok, headers: headers)
    }
    let files = try await open()
    return Response(
      status: .ok, headers: headers,
      body: ResponseBody(contentLength: length) { [parts] writer in
        for (part, file) in zip(parts, files) {
          try await writer.write(ByteBuffer(bytes: part.header))
          try await file.send(0..<part.entry.size, to: &writer, sent: sent)
          try await writer.write(ByteBuffer(repeating: 0, count: TarArchive.padding(after: part.entry.size)))
        }
        try await writer.write(ByteBuffer(bytes: TarArchive.end))
        try await writer.finish(nil)
      })
  }

  private func open() async throws -> [OpenFile] {
    try await FileThreads.run { [entries] in
      try entries.map { entry in
        do {
          let file = try OpenFile(entry.path)
          if file.size == entry.size { return file }
        } catch let error as Errno where error != .noSuchFileOrDirectory {
          throw Fault(
            .internal, "\(entry.name) cannot be read", cause: "\(entry.path): \(error)")
        }
        throw Fault(.internal, "\(entry.name) is damaged", cause: "\(entry.path)")
      }
    }
  }
}
