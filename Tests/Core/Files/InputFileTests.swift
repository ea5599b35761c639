import Foundation
import Testing

@testable import Core

@Suite("Input files")
struct InputFileTests {
  @Test("Too many open files are no fault of the input, and one that may pass")
  func crowded() async {
    await #expect(processExitsWith: .success) {
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      var open: [Int32] = []
      limit.rlim_cur = 64
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      while true {
        let descriptor = Glibc.open("/dev/null", O_RDONLY)
        guard descriptor >= 0 else { break }
        open.append(descriptor)
      }
      do throws(ConversionError) {
        _ = try InputFile(path: "/proc/self/status")
        exit(1)
      } catch {
        guard error.mayPass == true, error.kind == .internal else { exit(2) }
      }
      for descriptor in open { close(descriptor) }
      do throws(ConversionError) {
        _ = try InputFile(path: "/no/such/file")
        exit(3)
      } catch {
        guard error.mayPass == false, error.kind == .unreadableInput else { exit(4) }
      }
    }
  }

  @Test("Holes read as zeros, wherever a read begins and ends, and the end of the file is the end")
  func holes() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "holes-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: url) }
    let page = 65_536
    var expected = [UInt8](repeating: 0, count: 8 * page + 17)
    for start in [page, 2 * page, 5 * page] {
      for index in start..<start + page { expected[index] = UInt8(truncatingIfNeeded: index &* 31 + 1) }
    }
    let descriptor = Glibc.open(url.path, O_RDWR | O_CREAT, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(ftruncate(descriptor, off_t(expected.count)) == 0)
    for start in [page, 2 * page, 5 * page] {
      try #require(
        expected[start...].withUnsafeBytes { pwrite(descriptor, $0.baseAddress, page, off_t(start)) } == page)
    }
    let file = try InputFile(path: url.path)
    let edges =
      [0, page, 3 * page, 5 * page, 6 * page, 8 * page].flatMap { [$0, $0 + 1, max($0 - 1, 0)] } + [expected.count]
    for start in edges {
      for end in edges where end >= start {
        #expect(try file.bytes(at: start, count: end - start) == Array(expected[start..<end]), "\(start)..<\(end)")
      }
    }
    try #require(ftruncate(descriptor, off_t(7 * page)) == 0)
    #expect(try file.bytes(at: 6 * page, count: page) == [UInt8](repeating: 0, count: page))
    #expect(throws: ConversionError.self) { try file.bytes(at: 6 * page, count: page + 1) }
  }
}
