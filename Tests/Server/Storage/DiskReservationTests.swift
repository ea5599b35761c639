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

@Suite("Room on the disk")
struct DiskReservationTests {
  private let folder: TemporaryFolder
  private let space: FreeSpace
  /// Bytes above the floor: half of the disk, as others use it at the same time.
  private let room: Int

  init() throws {
    folder = try TemporaryFolder()
    let available = try FreeSpace(path: folder.path, floor: 0).available()
    room = available / 2
    space = FreeSpace(path: folder.path, floor: available - room)
  }

  @Test("What one job was promised another does not get, until it is written or given back")
  func promises() throws {
    let second = DiskReservation(space)
    do {
      let first = DiskReservation(space)
      #expect(try first.reserve(room * 7 / 10) == nil)
      let shortage = try #require(try second.reserve(room * 6 / 10))
      #expect(shortage.isHeldByOthers)
      #expect(shortage.room < room * 4 / 10)
      #expect(second.isHeldByOthers)
      #expect(try second.reserve(room / 10) == nil)
      #expect(!second.isHeldByOthers)
      // The same job asks again, with another number: what it was promised before does not stand in its way.
      #expect(try first.reserve(room * 8 / 10) == nil)
      #expect(try second.reserve(room * 6 / 10)?.isHeldByOthers == true)
      // What is written is missing from the free space, where it counts then. (Nothing is written here.)
      first.wrote(room * 8 / 10)
      #expect(try second.reserve(room * 6 / 10) == nil)
      #expect(try first.reserve(room * 6 / 10)?.isHeldByOthers == true)
      withExtendedLifetime(first) {}
    }
    #expect(try second.reserve(room * 9 / 10) == nil)
    let third = DiskReservation(space)
    #expect(try third.reserve(room * 2)?.isHeldByOthers == false, "no job holds that much")
    #expect(ConversionError(try #require(try third.reserve(room * 2)), for: "the outputs").kind == .diskFull)
  }

  @Test("What other downloads of an owner are going to store is known by owner")
  func owners() throws {
    let (first, second, other) = (
      DiskReservation(space, owner: "ann"), DiskReservation(space, owner: "ann"), DiskReservation(space)
    )
    for (reservation, bytes) in [(first, 5), (second, 7), (other, 11)] {
      #expect(try reservation.reserve(bytes) == nil)
    }
    first.wrote(5)
    #expect(second.promisedToOthers(of: "ann") == 5)
    #expect(first.promisedToOthers(of: "ann") == 7)
    #expect(other.promisedToOthers(of: "ann") == 12)
    #expect(other.promisedToOthers(of: "ben") == 0)
  }
}
