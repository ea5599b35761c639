import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Size of the pieces of a download")
struct PieceSizeTests {
  @Test("It grows for a client that takes pieces at once, shrinks for a slow one, and has bounds")
  func adapting() {
    var piece = PieceSize()
    #expect(piece.bytes == 65536)
    piece.adapt(to: .milliseconds(1))
    #expect(piece.bytes == 131_072)
    piece.adapt(to: .milliseconds(30))
    #expect(piece.bytes == 131_072)
    for _ in 0..<9 { piece.adapt(to: .zero) }
    #expect(piece.bytes == 1 << 20)
    piece.adapt(to: .seconds(1))
    #expect(piece.bytes == 1 << 19)
    for _ in 0..<9 { piece.adapt(to: .seconds(60)) }
    #expect(piece.bytes == 65536)
  }
}
