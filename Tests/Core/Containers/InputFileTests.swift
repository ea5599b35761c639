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
}
