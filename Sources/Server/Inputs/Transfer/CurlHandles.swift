import CCurl
import Synchronization

/// Handles of libcurl that are at rest. A handle keeps its connections, so the next request to a host need not connect.
///
/// All requests of one collection are under one egress policy: a connection that is used again was vetted by it.
final class CurlHandles: Sendable {
  /// A handle that belongs to whoever holds it.
  ///
  /// `@unchecked Sendable`: it is either at rest behind the mutex or with the one transfer that took it.
  struct Handle: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
  }

  private let resting = Mutex<[Handle]>([])

  /// Handles at rest at most; each may keep a few connections open.
  private static let capacity = 16

  /// Once per process, before the first handle, as libcurl demands.
  private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  deinit {
    for handle in resting.withLock({ $0 }) { curl_easy_cleanup(handle.pointer) }
  }

  /// A new handle without any option set; nil when libcurl cannot be started.
  static func make() -> UnsafeMutableRawPointer? { isReady ? curl_easy_init() : nil }

  /// A handle without any option set; nil when libcurl cannot be started.
  func take() -> Handle? { resting.withLock { $0.popLast() } ?? Self.make().map(Handle.init) }

  /// Gives a handle back. One whose request failed does not rest: libcurl 7.88 forgets to let go of a name that was not
  /// found, and the handle then takes no size of its buffer any more, for good.
  func give(_ handle: Handle, isGood: Bool) {
    guard isGood else { return curl_easy_cleanup(handle.pointer) }
    curl_easy_reset(handle.pointer)
    let isKept = resting.withLock { resting in
      guard resting.count < Self.capacity else { return false }
      resting.append(handle)
      return true
    }
    if !isKept { curl_easy_cleanup(handle.pointer) }
  }
}
