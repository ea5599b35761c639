import Foundation
import TestSupport
import Testing

/// Names that nobody answers for, on a machine whose resolver waits long.
@Suite("Slow name resolution", .enabled(if: ServiceProcess.binary != nil && SlowResolver.compiler != nil))
struct SlowResolverTests {
  @Test("A job that waits for a name is cancelled at once: its worker takes the next")
  func cancelled() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "zooport-slow-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let library = try SlowResolver.build(in: folder)
    let service = try ServiceProcess(
      folder: folder.appending(path: "data"), arguments: ["--workers", "1"], environment: ["LD_PRELOAD": library])
    func submit(_ config: [String: Any]) async throws -> String {
      let job = try await service.json(
        "POST", "/v1/jobs",
        ["command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "config": config])
      return try #require(job["url"] as? String, "\(job)")
    }
    let slow = try await submit(["url": "http://slow.invalid/config.json"])
    _ = try await service.wait(slow, for: "running")
    // Long enough for the worker to be asking.
    try await Task.sleep(for: .seconds(1))
    let start = ContinuousClock.now
    _ = try await service.send("DELETE", slow)
    let next = try await submit(["inline": ["n_embd": 8]])
    var status: String?
    while ContinuousClock.now - start < .seconds(15) {
      status = try await service.json("GET", next)["status"] as? String
      if status == "failed" || status == "succeeded" { break }
      try await Task.sleep(for: .milliseconds(50))
    }
    #expect(status == "failed" || status == "succeeded")
    #expect(ContinuousClock.now - start < .seconds(10))
    #expect(service.end(SIGTERM) == 0)
  }
}

/// A library that takes the place of `getaddrinfo` and hangs for one name.
private enum SlowResolver {
  /// Seconds that it hangs, more than any bound in the test.
  private static let source = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <netdb.h>
    #include <string.h>
    #include <unistd.h>
    int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
      if (name && strstr(name, "slow.invalid")) { sleep(30); return EAI_NONAME; }
      int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
      return real(name, service, hints, result);
    }
    """

  static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  static func build(in folder: URL) throws -> String {
    let (code, library) = (folder.appending(path: "slow.c"), folder.appending(path: "slow.so").path)
    try source.write(to: code, atomically: true, encoding: .utf8)
    let process = Process()
    process.executableURL = URL(filePath: try #require(compiler))
    process.arguments = ["-shared", "-fPIC", "-o", library, code.path, "-ldl"]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return library
  }
}
