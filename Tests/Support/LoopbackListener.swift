import Foundation

/// A listening socket on a free port of 127.0.0.1, with a thread for each connection.
struct LoopbackListener: Sendable {
  let port: Int
  private let socket: Int32

  /// `serve` gets each connection, and has to close it. Throws when no port can be had.
  init(serve: @escaping @Sendable (_ connection: Int32) -> Void) throws {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.address(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) == 0 && listen(socket, 64) == 0 && getsockname(socket, $0, &length) == 0
      }
    }
    guard isBound else { throw POSIXError(.EADDRINUSE) }
    self.socket = socket
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread {
      while true {
        let connection = accept(socket, nil, nil)
        guard connection >= 0 else { return }
        Thread { serve(connection) }.start()
      }
    }.start()
  }

  /// Takes no more connections.
  func stop() { shutdown(socket, Int32(SHUT_RDWR)) }

  /// A port of 127.0.0.1.
  static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
