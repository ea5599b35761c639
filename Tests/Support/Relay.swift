import Foundation
import Synchronization

/// Passes TCP connections on to a port of 127.0.0.1, and cuts or stalls them when a test asks for it.
///
/// Two threads a connection. It lives until `stop` or the end of the process.
public final class Relay: Sendable {
  private let listener: LoopbackListener
  private let connections: Connections

  /// Listens on a free port.
  public init(to target: Int) throws {
    let connections = Connections(target: UInt16(target))
    self.connections = connections
    listener = try LoopbackListener { connections.serve($0) }
  }

  /// The port that clients connect to.
  public var port: Int { listener.port }

  /// Cuts the next connection that sends more than so many bytes, once for each number.
  public func cut(after bytes: Int...) { connections.state.withLock { $0.cuts += bytes } }

  /// Holds the bytes of every connection back after so many, until `flow`.
  public func stall(after bytes: Int) { connections.state.withLock { $0.stallAfter = bytes } }

  /// Lets new connections pass.
  public func flow() { connections.state.withLock { $0.stallAfter = nil } }

  /// Connections that were cut.
  public var cuts: Int { connections.state.withLock { $0.done } }

  /// Bytes from the server to clients.
  public var passedBack: Int { connections.state.withLock { $0.passedBack } }

  /// Takes no more connections.
  public func stop() { listener.stop() }
}

/// What the threads of a relay share.
private final class Connections: Sendable {
  struct State {
    /// Bytes towards the server after which the next connections are cut.
    var cuts: [Int] = []
    var stallAfter: Int?
    var done = 0
    var passedBack = 0
  }

  let target: UInt16
  let state = Mutex(State())

  init(target: UInt16) { self.target = target }

  func serve(_ client: Int32) {
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = LoopbackListener.address(target)
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    let back = Thread { [self] in
      if status == 0 { copy(from: server, to: client) { count in state.withLock { $0.passedBack += count } } }
      shutdown(client, Int32(SHUT_RDWR))
    }
    back.start()
    var passed = 0
    if status == 0 {
      copy(from: client, to: server) { [self] count in
        passed += count
        while let limit = state.withLock({ $0.stallAfter }), passed > limit { Thread.sleep(forTimeInterval: 0.02) }
        let isCut = state.withLock { state in
          guard let limit = state.cuts.first, passed > limit else { return false }
          state.cuts.removeFirst()
          state.done += 1
          return true
        }
        if isCut { shutdown(server, Int32(SHUT_RDWR)) }
      }
    }
    shutdown(server, Int32(SHUT_RDWR))
    while !back.isFinished { Thread.sleep(forTimeInterval: 0.01) }
    close(server)
    close(client)
  }

  private func copy(from source: Int32, to sink: Int32, _ passed: (Int) -> Void) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(source, &buffer, buffer.count, 0)
      guard count > 0 else { return }
      passed(count)
      guard send(sink, buffer, count, Int32(MSG_NOSIGNAL)) == count else { return }
    }
  }
}
