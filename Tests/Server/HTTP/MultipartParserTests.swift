import NIOCore
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Multipart parser")
struct MultipartParserTests {
  /// A part as a test compares it.
  struct Part: Equatable {
    var name: String
    var filename: String?
    var body = ""
  }

  private func parse(_ pieces: [String], boundary: String = "b") throws -> (parts: [Part], isComplete: Bool) {
    var parser = MultipartParser(boundary: boundary)
    var parts: [Part] = []
    var isOpen = false
    for piece in pieces {
      parser.append(ByteBuffer(string: piece))
      while let event = try parser.next() {
        switch event {
        case .begin(let name, let filename):
          #expect(!isOpen)
          isOpen = true
          parts.append(Part(name: name, filename: filename))
        case .body(let buffer):
          #expect(buffer.readableBytes > 0)
          parts[parts.count - 1].body += String(buffer: buffer)
        case .end:
          isOpen = false
        }
      }
    }
    return (parts, parser.isComplete)
  }

  private static let body =
    "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt2\r\n--b  \r\n"
    + "content-type: text/plain\r\ncontent-disposition:form-data; filename=\"a\\\"b.bin\" ; name=checkpoint\r\n\r\n"
    + "one\r\n-bb\r\n-- b\r\n--\r\n\r\n--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--b--\r\nepilogue"

  private static let expected = [
    Part(name: "model", filename: nil, body: "gpt2"),
    Part(name: "checkpoint", filename: "a\"b.bin", body: "one\r\n-bb\r\n-- b\r\n--\r\n"),
    Part(name: "empty", filename: nil, body: ""),
  ]

  @Test("A whole body at once")
  func whole() throws {
    let result = try parse([Self.body])
    #expect(result.parts == Self.expected)
    #expect(result.isComplete)
  }

  @Test(
    "A file name in extended form wins over the plain one",
    arguments: [
      ("filename*=UTF-8''na%C3%AFve%20model.bin", "na\u{EF}ve model.bin"),
      ("filename=\"plain.bin\"; filename*=utf-8'en'exact%22.bin", "exact\".bin"),
      ("filename*=iso-8859-1''%E9.bin; filename=x", "\u{E9}.bin"),
      ("filename=\"plain.bin\"; filename*=utf-16''x", "plain.bin"),
      ("filename=\"plain.bin\"; filename*=UTF-8''%FF", "plain.bin"),
    ])
  func extendedName(_ parameters: String, _ name: String) throws {
    let body = "--b\r\nContent-Disposition: form-data; name=checkpoint; \(parameters)\r\n\r\nx\r\n--b--"
    #expect(try parse([body]).parts == [Part(name: "checkpoint", filename: name, body: "x")])
  }

  @Test(
    "An extended file name alone that is none is refused",
    arguments: ["x.bin", "UTF-8'x.bin", "UTF-8''%4", "UTF-8''%+1", "UTF-8''%C3", "koi8-r''x"])
  func malformedExtendedName(_ value: String) throws {
    let body = "--b\r\nContent-Disposition: form-data; name=checkpoint; filename*=\(value)\r\n\r\nx\r\n--b--"
    #expect(throws: MultipartParser.Malformed.self) { try parse([body]) }
  }

  @Test("Cut in two at every byte, and fed byte by byte")
  func cuts() throws {
    let scalars = Array(Self.body.unicodeScalars)
    for cut in 0...scalars.count {
      let pieces = [scalars[..<cut], scalars[cut...]].map { String(String.UnicodeScalarView($0)) }
      let result = try parse(pieces)
      #expect(result.parts == Self.expected, "cut at \(cut)")
      #expect(result.isComplete)
    }
    #expect(try parse(scalars.map { String(Character($0)) }).parts == Self.expected)
  }

  @Test(
    "Malformed bodies",
    arguments: [
      "--b\r\n\r\nno headers\r\n--b--", "--bx\r\n", "--b\r\nContent-Disposition: attachment; name=x\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; filename=x\r\n\r\n", "--b\r\nContent-Type: text/plain\r\n\r\nx",
      "--b" + String(repeating: " ", count: 300) + "\r\n",
      "--b\r\nX: " + String(repeating: "x", count: 20_000),
    ])
  func malformed(_ body: String) {
    #expect(throws: MultipartParser.Malformed.self) { _ = try parse([body]) }
  }

  @Test(
    "A body that breaks off is not complete",
    arguments: ["", "--b", "--b\r\nContent-Disposition: form-data; name=x\r\n\r\nabc\r\n--b"])
  func incomplete(_ body: String) throws {
    #expect(try parse([body]).isComplete == false)
  }

  @Test("Too many parts are refused")
  func tooManyParts() {
    let part = "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n"
    #expect(throws: MultipartParser.Malformed.self) {
      _ = try parse([String(repeating: part, count: MultipartParser.partLimit + 1)])
    }
  }

  @Test(
    "Boundaries in a content type",
    arguments: [
      ("multipart/form-data; boundary=abc", "abc"), ("Multipart/Form-Data;charset=x; Boundary=\"a b:c\"", "a b:c"),
      ("multipart/form-data", nil), ("multipart/form-data; boundary=", nil), ("multipart/mixed; boundary=x", nil),
      ("multipart/form-data; boundary=\"ends \"", nil), ("application/json", nil),
      ("multipart/form-data; boundary=" + String(repeating: "x", count: 71), nil),
    ] as [(String, String?)])
  func boundaries(_ header: String, _ expected: String?) {
    #expect(MultipartParser.boundary(inContentType: header) == expected)
  }
}
