import Foundation
import HummingbirdTesting
import Testing

/// A connection to the service that carries raw bytes; reads give up after five seconds.
final class Wire {
  private let descriptor: Int32

  /// `from` is the last byte of the client's own address, 127.0.0.1 unless told. `buffer` bounds what the kernel takes
  /// before it is read, in bytes.
  init(port: Int, from: UInt8 = 1, buffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    if var buffer {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, socklen_t(MemoryLayout<Int32>.size))
    }
    guard Self.call(bind, descriptor, 0, from) == 0, Self.call(connect, descriptor, port, 1) == 0 else {
      close(descriptor)
      throw POSIXError(.ECONNREFUSED)
    }
  }

  private static func call(
    _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ descriptor: Int32, _ port: Int, _ last: UInt8
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = (0x7F00_0000 | UInt32(last)).bigEndian
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// Reads what is there, `count` bytes at most. Empty at the end of the connection.
  func read(atMost count: Int) -> String {
    var buffer = [UInt8](repeating: 0, count: count)
    let done = recv(descriptor, &buffer, count, 0)
    return done > 0 ? String(decoding: buffer[..<done], as: UTF8.self) : ""
  }

  /// Reads until a text appears, or to the end of the connection for nil.
  func read(until text: String? = nil) -> String {
    var received = ""
    var buffer = [UInt8](repeating: 0, count: 4096)
    while text.map({ !received.contains($0) }) ?? true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      received += String(decoding: buffer[..<count], as: UTF8.self)
    }
    return received
  }
}

extension Client {
  /// Runs a blocking conversation off the cooperative pool.
  func talk(buffer: Int32? = nil, _ body: @escaping @Sendable (Wire) -> Void) async throws {
    let port = try #require(base.port)
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      Thread { done.resume(with: Result { body(try Wire(port: port, buffer: buffer)) }) }.start()
    }
  }
}
