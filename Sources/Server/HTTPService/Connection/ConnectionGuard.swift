import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// The life of one connection: `100 Continue`, early answers, the last answer, and peers that are too slow.
///
/// - `Expect: 100-continue` is answered when the handler asks for the body. Until then it may refuse the request, and what
///   the client reads first is the refusal: it sends nothing (RFC 9110, section 10.1.1).
/// - An answer that is complete before its request is ends the connection. Otherwise the rest of the body, perhaps
///   100 GB, would be read and thrown away.
/// - A connection ends after the answer to `Connection: close`, and when the service stops after the answers to what has
///   begun. The last answer says so and is sent to its end; then the connection lingers for a moment, half closed, so that
///   the answer is not lost to a reset.
/// - A client that sends a body, or takes answers, at less than `minimumRate` over `window` is dropped, and one that sends
///   no request for `idle`. Time in which the service itself is the slow side does not count.
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
    /// How long to wait for the peer to read the last answer and to hang up.
    var linger: TimeAmount = .seconds(2)
    /// How long a connection may be without a request. More than the 60 s for which proxies keep theirs: who closes first
    /// must not be the service, as a request may be on its way.
    var idle: TimeAmount = .seconds(75)
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
  /// Requests whose head came, that arrived whole, and answers that were written whole.
  private var begun = 0
  private var arrived = 0
  private var answered = 0
  /// The number of the request with whose answer the connection ends.
  private var last = Int.max
  /// The last answer was written.
  private var isEnding = false
  /// The client of the latest request holds its body back until it is told to go on.
  private var awaitsContinue = false
  /// A read was asked for and nothing has come since: the peer is the slow side.
  private var isWaitingForPeer = false
  private var received = 0
  private var progress: PeerProgress?
  private var idleSince = NIODeadline.now()
  private var rateWatch: RepeatedTask?
  private var idleWatch: Scheduled<Void>?
  /// The client sends nothing more.
  private var isInputClosed = false
  private var leaveWatch: LeaveWatched?

  init(limits: Limits) { self.limits = limits }

  func handlerAdded(context: ChannelHandlerContext) {
    // What waits in the kernel cannot be taken back, and memory for it is not ours to bound.
    _ = context.channel.setOption(
      ChannelOptions.Types.SocketOption(level: .tcp, name: Self.notSentLowWater), value: 128 << 10)
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    rateWatch = context.eventLoop.scheduleRepeatedTask(initialDelay: limits.window, delay: limits.window) { _ in
      let (handler, context) = bound.value
      handler.checkRate(context)
    }
    watchIdle(context)
  }

  func handlerRemoved(context: ChannelHandlerContext) { stopWatching() }

  func channelInactive(context: ChannelHandlerContext) {
    stopWatching()
    inputEnded()
    context.fireChannelInactive()
  }

  func read(context: ChannelHandlerContext) {
    isWaitingForPeer = true
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    isWaitingForPeer = false
    guard !isEnding, arrived < last else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      begun += 1
      // A rate is judged over whole windows only; the one in which a body begins is given away.
      received = limits.requiredBytes
      awaitsContinue = head.headerFields[.expect]?.lowercased() == "100-continue"
      if head.headerFields[.connection] == "close" { last = begun }
    case .body(let buffer):
      // It did not wait, as it may.
      awaitsContinue = false
      received += buffer.readableBytes
    case .end:
      awaitsContinue = false
      arrived += 1
    }
    context.fireChannelRead(data)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    if isEnding { context.read() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    context.fireUserInboundEventTriggered(event)
    if event as? ChannelEvent == .inputClosed { inputEnded() }
    guard event is ChannelShouldQuiesceEvent else { return }
    last = min(last, begun)
    if answered >= last { hangUp(context) }
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
    guard awaitsContinue, arrived == answered else { return }
    awaitsContinue = false
    // The time that the client waited is not its own.
    received = limits.requiredBytes
    context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard !isEnding else {
      promise?.fail(ChannelError.outputClosed)
      return
    }
    switch unwrapOutboundIn(data) {
    case .head(var head) where head.status.kind != .informational:
      if arrived <= answered {
        last = min(last, answered + 1)
        awaitsContinue = false
      }
      guard answered + 1 == last else { return context.write(data, promise: promise) }
      head.headerFields[.connection] = "close"
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .head, .body:
      context.write(data, promise: promise)
    case .end:
      answered += 1
      leaveWatch = nil
      context.write(data, promise: promise)
      idleSince = .now()
      if answered >= last { end(context) } else if answered == begun { watchIdle(context) }
    }
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard case .output = mode else { return context.close(mode: mode, promise: promise) }
    end(context)
    promise?.succeed()
  }

  /// Ends the connection in peace: what was written is sent, then nothing more is, and the peer hangs up or is hung up on.
  private func end(_ context: ChannelHandlerContext) {
    guard !isEnding else { return }
    isEnding = true
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    let linger = limits.linger
    let written = context.eventLoop.makePromise(of: Void.self)
    // Closing comes after the last byte, also where the peer has closed its side: NIO would close both at once then.
    written.futureResult.whenComplete { _ in
      bound.value.close(mode: .output, promise: nil)
      bound.value.eventLoop.scheduleTask(in: linger) { bound.value.close(promise: nil) }
    }
    context.writeAndFlush(wrapOutboundOut(.body(ByteBuffer())), promise: written)
    context.read()
  }

  /// Ends a connection on which nothing is being answered.
  private func hangUp(_ context: ChannelHandlerContext) {
    let buffered = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    if buffered > 0 { end(context) } else { context.close(promise: nil) }
  }

  private func stopWatching() {
    rateWatch?.cancel()
    idleWatch?.cancel()
  }

  /// Sees to it that the connection does not stay without a request. One task at a time, which looks again when it came
  /// too early.
  private func watchIdle(_ context: ChannelHandlerContext) {
    guard idleWatch == nil else { return }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    idleWatch = context.eventLoop.scheduleTask(deadline: idleSince + limits.idle) {
      let (handler, context) = bound.value
      handler.idleWatch = nil
      guard handler.begun == handler.answered, !handler.isEnding else { return }
      if handler.idleSince + handler.limits.idle > .now() {
        handler.watchIdle(context)
      } else {
        handler.hangUp(context)
      }
    }
  }

  private func checkRate(_ context: ChannelHandlerContext) {
    let isSending = begun > arrived && !awaitsContinue && !isEnding
    let sendsTooSlowly = isSending && isWaitingForPeer && received < limits.requiredBytes
    received = 0
    if sendsTooSlowly { return context.close(promise: nil) }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    PeerProgress.of(context.channel).whenSuccess { now in
      let (handler, context) = bound.value
      defer { handler.progress = now }
      guard let now, let before = handler.progress else { return }
      if now.isSlow(since: before, bytes: handler.limits.requiredBytes) { context.close(promise: nil) }
    }
  }
}

extension ConnectionGuard.Limits {
  /// Bytes that must pass in one window.
  fileprivate var requiredBytes: Int {
    Int((Double(window.nanoseconds) / 1e9 * Double(minimumRate)).rounded(.up))
  }
}
