import Inputs
import NIOCore
import Synchronization

/// Leaves connections to others: one address may have three quarters of them, and is told to come back beyond.
///
/// More than that is for nobody, so the last quarter waits for those who come second. A proxy is one address. Of IPv6 the
/// network of 64 bits counts, which one machine has to itself.
final class AddressShare: Sendable {
  private let limit: Int
  private let connections = Mutex<[ArraySlice<UInt8>: Int]>([:])

  /// `connections` is how many the service has at the same time.
  init(of connections: Int) { limit = max(1, connections * 3 / 4) }

  /// Counts a connection in. False when the address has its share.
  func take(_ address: IPAddress) -> Bool {
    connections.withLock { connections in
      let count = connections[Self.key(address), default: 0]
      guard count < limit else { return false }
      connections[Self.key(address)] = count + 1
      return true
    }
  }

  /// Counts a connection out.
  func giveBack(_ address: IPAddress) {
    connections.withLock { connections in
      let count = connections[Self.key(address), default: 1] - 1
      connections[Self.key(address)] = count == 0 ? nil : count
    }
  }

  private static func key(_ address: IPAddress) -> ArraySlice<UInt8> {
    address.isV4 ? address.bytes[...] : address.bytes[..<8]
  }
}

/// Closes a connection whose address has its share, after an answer to nothing: 503 without a look at the request.
final class AddressGuard: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let share: AddressShare
  /// Counted in.
  private var address: IPAddress?

  private static let refusal = """
    HTTP/1.1 503 Service Unavailable\r
    Connection: close\r
    Content-Length: 0\r
    Retry-After: 5\r
    \r

    """

  init(share: AddressShare) { self.share = share }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    guard let address = context.remoteAddress?.ipAddress.flatMap({ IPAddress($0) }) else { return }
    if share.take(address) {
      self.address = address
    } else {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: Self.refusal)), promise: nil)
      context.close(promise: nil)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if let address { share.giveBack(address) }
    address = nil
    context.fireChannelInactive()
  }
}
