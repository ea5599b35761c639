import API
import CLinux
import NIOCore

/// An incremental parser of multipart/form-data (RFC 7578), fed with pieces of any size.
///
/// `append` a piece, then call `next` until it answers nil. Part bodies come out as they come in, so memory is bounded
/// by the largest piece and `headerLimit`. After the last piece, `isComplete` tells whether the closing boundary came.
struct MultipartParser {
  /// What the parser found.
  enum Event: Equatable {
    /// A part begins. `filename` is nil for a plain field.
    case begin(name: String, filename: String?)
    /// Bytes of the part, never empty.
    case body(ByteBuffer)
    /// The part ends.
    case end
  }

  /// Why a body is not multipart/form-data.
  struct Malformed: Error, Equatable { let reason: String }

  private enum State {
    case preamble
    case afterBoundary
    case headers
    case body
    case epilogue
  }

  /// Bytes of the headers of one part.
  static let headerLimit = 16 << 10
  /// Parts of one body.
  static let partLimit = 4096

  private var state = State.preamble
  private var buffer: ByteBuffer
  /// CR LF, two hyphens, the boundary.
  private let delimiter: [UInt8]
  private var parts = 0

  /// True once the closing boundary was seen.
  var isComplete: Bool { state == .epilogue }

  /// A parser for a boundary as the `Content-Type` gives it.
  init(boundary: String) {
    delimiter = Array("\r\n--\(boundary)".utf8)
    // The first boundary may stand at the very beginning; the line end before it is supplied here.
    buffer = ByteBuffer(string: "\r\n")
  }

  /// The boundary in a `Content-Type`; nil when it is another type or the boundary breaks RFC 2046 (1 to 70 characters).
  static func boundary(inContentType header: String) -> String? {
    var parameters = HeaderParameters(header)
    guard parameters.value.lowercased() == "multipart/form-data", let boundary = parameters.take("boundary"),
      (1...70).contains(boundary.utf8.count), boundary.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }),
      !boundary.hasSuffix(" ")
    else { return nil }
    return boundary
  }

  /// Adds the next piece of the body.
  mutating func append(_ piece: ByteBuffer) {
    buffer.discardReadBytes()
    buffer.writeImmutableBuffer(piece)
  }

  /// The next event, or nil when more bytes are needed. Throws `Malformed`.
  mutating func next() throws -> Event? {
    while true {
      switch state {
      case .preamble:
        guard let found = find(delimiter) else {
          keepTail()
          return nil
        }
        buffer.moveReaderIndex(forwardBy: found + delimiter.count)
        state = .afterBoundary
      case .afterBoundary:
        guard try skipBoundaryLine() else { return nil }
      case .headers:
        guard let event = try readHeaders() else { return nil }
        state = .body
        return event
      case .body:
        if let found = find(delimiter) {
          if found > 0, let slice = buffer.readSlice(length: found) { return .body(slice) }
          buffer.moveReaderIndex(forwardBy: delimiter.count)
          state = .afterBoundary
          return .end
        }
        let safe = buffer.readableBytes - (delimiter.count - 1)
        guard safe > 0, let slice = buffer.readSlice(length: safe) else { return nil }
        return .body(slice)
      case .epilogue:
        buffer.clear()
        return nil
      }
    }
  }

  /// What follows a boundary: two hyphens for the last one, else padding and a line end. False when bytes are missing.
  private mutating func skipBoundaryLine() throws -> Bool {
    let bytes = buffer.readableBytesView
    if bytes.starts(with: [UInt8(ascii: "-"), UInt8(ascii: "-")]) {
      state = .epilogue
      return true
    }
    let padding = bytes.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
    guard padding <= 256 else { throw Malformed(reason: "a boundary is followed by too many spaces") }
    let rest = bytes.dropFirst(padding)
    guard rest.count >= 2 else { return false }
    guard rest.starts(with: [0x0D, 0x0A]) else {
      throw Malformed(reason: "a boundary is followed by something else than a line end")
    }
    parts += 1
    guard parts <= Self.partLimit else { throw Malformed(reason: "there are more than \(Self.partLimit) parts") }
    // The line end stays: a part without headers has it as the first half of its empty line.
    buffer.moveReaderIndex(forwardBy: padding)
    state = .headers
    return true
  }

  /// Reads from the line end of the boundary to the empty line.
  private mutating func readHeaders() throws -> Event? {
    guard let length = find([0x0D, 0x0A, 0x0D, 0x0A]), length <= Self.headerLimit else {
      guard buffer.readableBytes <= Self.headerLimit else {
        throw Malformed(reason: "the headers of a part have more than \(Self.headerLimit) bytes")
      }
      return nil
    }
    let text = String(validating: buffer.readableBytesView.prefix(length), as: UTF8.self)
    guard let text else { throw Malformed(reason: "the headers of a part are not UTF-8") }
    buffer.moveReaderIndex(forwardBy: length + 4)
    for line in text.split(separator: "\r\n") {
      guard let colon = line.firstIndex(of: ":"),
        line[..<colon].trimmingSpaces.lowercased() == "content-disposition"
      else { continue }
      var parameters = HeaderParameters(String(line[line.index(after: colon)...]))
      guard parameters.value.lowercased() == "form-data", let name = parameters.take("name") else { break }
      return .begin(name: name, filename: try Self.fileName(&parameters))
    }
    throw Malformed(reason: "a part has no Content-Disposition: form-data with a name")
  }

  /// The file name of a part: `filename*` where there is one, as RFC 6266, section 4.3, has it.
  ///
  /// RFC 7578 wants browsers to send `filename` alone; libraries of other languages send the other for what is not ASCII.
  private static func fileName(_ parameters: inout HeaderParameters) throws -> String? {
    let plain = parameters.take("filename")
    guard let extended = parameters.take("filename*") else { return plain }
    if let name = HeaderParameters.extended(extended) ?? plain { return name }
    throw Malformed(reason: "a filename* is not of the form UTF-8''percent-encoded")
  }

  /// Offset of the first occurrence from the reader index on.
  private func find(_ pattern: [UInt8]) -> Int? {
    buffer.withUnsafeReadableBytes { bytes in
      guard let base = bytes.baseAddress, bytes.count >= pattern.count else { return nil }
      return pattern.withUnsafeBytes { needle in
        guard let start = needle.baseAddress, let hit = memmem(base, bytes.count, start, needle.count) else {
          return nil
        }
        return base.distance(to: UnsafeRawPointer(hit))
      }
    }
  }

  /// Drops what cannot be the beginning of a delimiter.
  private mutating func keepTail() {
    let excess = buffer.readableBytes - (delimiter.count - 1)
    if excess > 0 { buffer.moveReaderIndex(forwardBy: excess) }
  }
}
