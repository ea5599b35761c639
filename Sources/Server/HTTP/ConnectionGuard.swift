import HTTPTypes
import NIOCore
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// What Hummingbird leaves to its user on a connection: `100 Continue`, early answers, and peers that are too slow.
///
/// - `Expect: 100-continue` is answered when the handler asks for the body. Until then it may refuse the request, and what
///   the client reads first is the refusal: it sends nothing (RFC 9110, section 10.1.1).
/// - An answer that is complete before its request is ends the connection. Otherwise the rest of the body, perhaps
///   100 GB, would be read and thrown away. The connection lingers for a moment, half closed, so that the answer is not
///   lost to a reset.
/// - A client that sends a body, or takes an answer, at less than `minimumRate` over `window` is dropped. Time in which
///   the service itself is the slow side does not count.
/// - A handler that works long for an answer can ask to be told when the client has left. One that closes its own side
///   alone counts as gone: nothing tells the two apart.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  /// What is asked of a peer.
  struct Limits: Sendable {
    /// Bytes a second, averaged over `window`.
    var minimumRate = 512
    /// How long a peer may be too slow.
    var window: TimeAmount = .seconds(60)
    /// How long to wait for the peer to read an early answer.
    var linger: TimeAmount = .seconds(2)
  }

  /// An outbound event: the handler of the request asks for its body.
  struct BodyAwaited: Sendable {}

  /// An outbound event: the handler of the request wants to know when the client leaves before the answer.
  struct LeaveWatched: Sendable {
    let hasLeft: @Sendable () -> Void
  }

  /// TCP_NOTSENT_LOWAT of Linux, which the C library's module does not export.
  private static let notSentLowWater = NIOBSDSocket.Option(rawValue: 25)

  private let limits: Limits
  /// Requests that arrived whole, and answers that were sent whole.
  private var requestsRead = 0
  private var answersWritten = 0
  private var isReadingBody = false
  /// The client of the latest request holds its body back until it is told to go on.
  private var awaitsContinue = false
  private var isClosing = false
  private var isLingering = false
  /// A read was asked for and nothing has come since: the peer is the slow side.
  private var isWaitingForPeer = false
  private var received = 0
  private var pendingWrites = 0
  private var completedBytes = 0
  private var watch: RepeatedTask?
  /// The client sends nothing more.
  private var isInputClosed = false
  private var leaveWatch: LeaveWatched?

  init(limits: Limits) { self.limits = limits }

  func handlerAdded(context: ChannelHandlerContext) {
    // Without it the kernel takes megabytes at once and then nothing for minutes: a slow reader would look dead.
    _ = context.channel.setOption(
      ChannelOptions.Types.SocketOption(level: .tcp, name: Self.notSentLowWater), value: 128 << 10)
    let pipeline = context.pipeline.syncOperations
    if let codec = try? pipeline.handler(type: HTTP1ToHTTPServerCodec.self) {
      try? pipeline.addHandler(FramingGuard(), position: .before(codec))
    }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    watch = context.eventLoop.scheduleRepeatedTask(initialDelay: limits.window, delay: limits.window) { _ in
      let (handler, context) = bound.value
      handler.checkRate(context)
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) { watch?.cancel() }

  func channelInactive(context: ChannelHandlerContext) {
    watch?.cancel()
    inputEnded()
    context.fireChannelInactive()
  }

  func read(context: ChannelHandlerContext) {
    isWaitingForPeer = true
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isWaitingForPeer = false
    guard !isLingering else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      isReadingBody = true
      // A rate is judged over whole windows only; the one in which a body begins is given away.
      received = limits.requiredBytes
      awaitsContinue = head.headerFields[.expect]?.lowercased() == "100-continue"
    case .body(let buffer):
      // It did not wait, as it may.
      awaitsContinue = false
      received += buffer.readableBytes
    case .end:
      isReadingBody = false
      awaitsContinue = false
      requestsRead += 1
    }
    context.fireChannelRead(data)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    if isLingering { context.read() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event as? ChannelEvent == .inputClosed { inputEnded() }
    context.fireUserInboundEventTriggered(event)
  }

  private func inputEnded() {
    isInputClosed = true
    leaveWatch?.hasLeft()
    leaveWatch = nil
  }

  func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    if let watch = event as? LeaveWatched {
      promise?.succeed()
      leaveWatch = watch
      if isInputClosed { inputEnded() }
      return
    }
    guard event is BodyAwaited else { return context.triggerUserOutboundEvent(event, promise: promise) }
    promise?.succeed()
    // While an earlier request is being answered, the event is about that one, whose body is here already.
    guard awaitsContinue, requestsRead == answersWritten else { return }
    awaitsContinue = false
    context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head):
      if head.status.kind != .informational, requestsRead <= answersWritten {
        isClosing = true
        awaitsContinue = false
        head.headerFields[.connection] = "close"
        context.write(wrapOutboundOut(.head(head)), promise: promise)
      } else {
        context.write(data, promise: promise)
      }
    case .body(let buffer):
      pendingWrites += 1
      if pendingWrites == 1 { completedBytes = limits.requiredBytes }
      let written = promise ?? context.eventLoop.makePromise()
      let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
      let count = buffer.readableBytes
      written.futureResult.whenComplete { _ in
        bound.value.pendingWrites -= 1
        bound.value.completedBytes += count
      }
      context.write(data, promise: written)
    case .end:
      answersWritten += 1
      leaveWatch = nil
      guard isClosing else { return context.write(data, promise: promise) }
      context.writeAndFlush(data, promise: promise)
      isLingering = true
      isReadingBody = false
      context.close(mode: .output, promise: nil)
      context.read()
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      context.eventLoop.scheduleTask(in: limits.linger) { bound.value.close(promise: nil) }
    }
  }

  private func checkRate(_ context: ChannelHandlerContext) {
    let bodyIsSlow = isReadingBody && isWaitingForPeer && received < limits.requiredBytes
    let readerIsSlow = pendingWrites > 0 && completedBytes < limits.requiredBytes
    received = 0
    completedBytes = 0
    if bodyIsSlow || readerIsSlow { context.close(promise: nil) }
  }
}

extension ConnectionGuard.Limits {
  /// Bytes that must pass in one window.
  fileprivate var requiredBytes: Int {
    Int((Double(window.nanoseconds) / 1e9 * Double(minimumRate)).rounded(.up))
  }
}
