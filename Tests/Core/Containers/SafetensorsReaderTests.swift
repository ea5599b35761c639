import Testing

@testable import Core

@Suite struct SafetensorsReaderTests {
  private func open(_ header: String, data: Int) throws -> SafetensorsReader {
    let folder = try TemporaryFolder()
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
    let path = try folder.write(length + Array(header.utf8) + [UInt8](repeating: 1, count: data), as: "s")
    return try SafetensorsReader(file: try InputFile(path: path))
  }

  @Test func readsWhatTheLibraryReads() throws {
    let source = try open(
      #" {"b\u00e9\ud83d\ude00\n" : {"shape":[ 2 , 1 ],"extra":{"x":[1.5e3,null,"]"]},"data_offsets":[4,8],"dtype":"F16"},"#
        + #""a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}   "#, data: 8)
    guard case .dictionary(let entries, _) = source.tree else { return }
    #expect(entries.map(\.key) == [.string("bé😀\n"), .string("a")])
    #expect(source.storages.map(\.byteCount) == [4, 4])
    #expect(source.metadata == ["k": "v"])
    #expect(source.storages[1].extent?.length == 4)
  }

  @Test(arguments: [
    #"{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
    #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__" : null }"#,
  ])
  func takesNullForNoMetadata(_ header: String) throws {
    let source = try open(header, data: 1)
    #expect(source.metadata.isEmpty)
    #expect(source.storages.map(\.byteCount) == [1])
  }

  @Test(arguments: [
    #"{"__metadata__":nul}"#, #"{"__metadata__":nullo}"#, #"{"__metadata__":none}"#, #"{"__metadata__":1}"#,
  ])
  func takesNoOtherWord(_ header: String) {
    #expect(conversionError { try open(header, data: 0) }?.kind == .unreadableInput)
  }

  @Test(arguments: [
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2, ErrorKind.hostileInput),
    (
      #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3,
      .hostileInput
    ),
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 3, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 1, .unreadableInput),
    (#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}}"#, 2, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}"#, 2, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}"#, 2, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,2]}}"#, 2, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,2]}}"#, 2, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}"#, 2, .hostileInput),
    (#"{"a":{"dtype":"U8","shape":[2]}}"#, 2, .unreadableInput),
    (#"{"a":{"dtype":"F6","shape":[2],"data_offsets":[0,2]}}"#, 2, .unreadableInput),
    (#"{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 2, .hostileInput),
    (
      #"{"é":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"é":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0,
      .hostileInput
    ),
    (#"{"__metadata__":{"a":1}}"#, 0, .unreadableInput), (#"{"a":"#, 0, .unreadableInput),
    (#"{"\ud800":{}}"#, 0, .unreadableInput),
    (#"{} {}"#, 0, .unreadableInput), ("[]", 0, .unreadableInput), ("  ", 0, .unreadableInput),
    ("{\"a\u{1}\":{}}", 0, .unreadableInput),
  ])
  func refusesTheRest(header: String, data: Int, kind: ErrorKind) {
    #expect(conversionError { try open(header, data: data) }?.kind == kind)
  }

  @Test func boundsNestingOfUnknownFields() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(conversionError { try open(#"{"a":{"x":\#(deep)"#, data: 0) }?.message.contains("nests more than") == true)
  }
}
