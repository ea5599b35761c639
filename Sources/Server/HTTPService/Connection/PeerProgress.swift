import CLinux
import NIOCore

/// How far a peer has got with what was sent to it, as the kernel knows it.
///
/// Only what the peer has acknowledged counts: buffers of the kernel take many kilobytes at once and then nothing for a
/// while, so that a slow reader would look dead and a dead one alive.
struct PeerProgress: Sendable {
  /// Bytes that the peer has taken since the connection began.
  let taken: Int
  /// Bytes that wait to be taken, here and in the kernel.
  let waiting: Int

  /// The progress now; nil where the kernel does not tell (before Linux 4.19). For the event loop of the channel.
  static func of(_ channel: any Channel) -> EventLoopFuture<PeerProgress?> {
    let buffered = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    guard let socket = channel as? any SocketOptionProvider else {
      return channel.eventLoop.makeSucceededFuture(nil)
    }
    let info: EventLoopFuture<zooport_tcp_info> = socket.unsafeGetSocketOption(
      level: .tcp, name: NIOBSDSocket.Option(rawValue: zooport_tcp_info_option))
    return info.map { info in
      let (sent, resent, taken) = (Int(info.bytes_sent), Int(info.bytes_retrans), Int(info.bytes_acked))
      guard sent > 0 || buffered == 0 else { return nil }
      return PeerProgress(taken: taken, waiting: buffered + Int(info.notsent_bytes) + max(0, sent - resent - taken))
    }.recover { _ in nil }
  }

  /// True when less than `bytes` were taken since, though there was that much to take.
  func isSlow(since before: PeerProgress, bytes: Int) -> Bool { taken - before.taken < min(bytes, before.waiting) }
}
