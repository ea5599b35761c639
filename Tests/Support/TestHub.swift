public import Foundation
import Synchronization

/// A model hub on loopback that speaks the hub's rules and misbehaves on request.
///
/// Two servers: the hub, and a store on another port that large files (`isLarge`) are redirected to, as the real hub does
/// with its content network. Answers `HEAD` and `GET /{repository}/resolve/{revision}/{path}` and
/// `/api/models/{repository}[/revision/{revision}]`. Bytes and requests are counted, so that tests can show what was not
/// fetched twice. Source of the rules: `get_hf_file_metadata`, `repo_info` and `hf_raise_for_status` of huggingface_hub.
public final class TestHub: Sendable {
  /// A file of a repository: bytes, then zeros up to a size, so that a repository of any size costs no memory.
  public struct File: Sendable {
    let bytes: Data
    /// Bytes.
    public let size: Int
    let isLarge: Bool
    /// What the hub says it is, in lower-case hexadecimal.
    public let sha256: String

    /// A file with known content. `sha256` is what the hub says it is.
    public init(_ bytes: Data, sha256: String, isLarge: Bool) {
      self.bytes = bytes
      self.size = bytes.count
      self.isLarge = isLarge
      self.sha256 = sha256
    }

    /// A large file that begins with some bytes and is zero from there to its end. Nobody can check its digest.
    public init(beginning bytes: Data, size: Int) {
      self.bytes = bytes
      self.size = size
      isLarge = true
      sha256 = String(repeating: "ab", count: 32)
    }

    /// Small files have a git blob id on the real hub; any stable text serves.
    var etag: String { isLarge ? sha256 : String(sha256.prefix(40)) }

    func slice(_ range: Range<Int>) -> Data {
      let known = range.clamped(to: 0..<bytes.count)
      return bytes.subdata(in: known) + Data(count: range.count - known.count)
    }
  }

  /// Who may read a repository.
  public enum Access: Sendable {
    case open
    /// The request needs this token; without it the repository seems to be missing.
    case tokenNeeded(String)
    /// Nobody was granted access yet.
    case gated
  }

  /// A repository: its files, the commit they are of, and the names of that commit.
  public struct Repository: Sendable {
    /// By path.
    public var files: [String: File]
    /// 40 hexadecimal digits.
    public var commit = String(repeating: "c0ffee00", count: 5)
    /// Names of the commit.
    public var branches = ["main"]
    /// Who may read it.
    public var access = Access.open

    /// An open repository.
    public init(_ files: [String: File]) { self.files = files }
  }

  /// A request as the hub saw it.
  public struct Request: Sendable, Hashable {
    /// `GET` or `HEAD`.
    public let method: String
    /// Path within the repository; empty for listings.
    public let path: String
    /// Whether it came to the store that large files are redirected to.
    public let isStore: Bool
    /// The header `Range`.
    public let range: String?
    /// The header `If-Range`.
    public let ifRange: String?
    /// The header `Authorization`.
    public let authorization: String?
    /// How often such a request for this path came before.
    public let index: Int
  }

  /// What goes wrong with one answer.
  public enum Fault: Sendable {
    /// A status, with headers such as `Retry-After: 1`.
    case status(Int, [String: String])
    /// The connection breaks after so many bytes of the body.
    case drop(after: Int)
    /// Nothing more comes after so many bytes of the body, for so many seconds; then the connection breaks.
    case stall(after: Int, seconds: Double)
    /// Each 16 KiB of the body take so many seconds.
    case slow(Double)
    /// The whole file is the answer to a range.
    case ignoreRange
    /// The announced size of the file, in `X-Linked-Size` or `Content-Length`.
    case lie(size: Int)
    /// The bytes are not those of the digest.
    case corrupt
    /// A redirect to anywhere.
    case redirect(String)
  }

  private struct State {
    var repositories: [String: Repository] = [:]
    var requests: [Request] = []
    var sent: [String: Int] = [:]
    var fault: @Sendable (Request) -> Fault? = { _ in nil }
    var sendsCommit = true
    /// Seconds before each answer.
    var latency = 0.0
    /// Requests that wait for their answers, since when there is one, and how long there was one before.
    var waiting = (count: 0, since: ContinuousClock.now, before: Duration.zero)
    var listsFiles = true
    var base = ""
    var newNames: [String: String] = [:]
    var cachesSmallFiles = false
    var tag: @Sendable (String) -> String = { "\"\($0)\"" }
  }

  private let state = Mutex(State())
  private let servers = Mutex<(hub: LoopbackServer?, store: LoopbackServer?)>((nil, nil))

  /// Starts both servers on free ports.
  public init(_ repositories: [String: Repository] = [:]) throws {
    state.withLock { $0.repositories = repositories }
    let store = try LoopbackServer.persistent { [unowned self] in answerStore($0, $1) }
    let hub = try LoopbackServer.persistent { [unowned self] in answerHub($0, $1) }
    servers.withLock { $0 = (hub, store) }
  }

  /// The base URL, as `HF_ENDPOINT` takes it.
  public var endpoint: String {
    "http://127.0.0.1:\(servers.withLock { $0.hub?.port ?? 0 })\(state.withLock { $0.base })"
  }
  /// The base URL of the store.
  public var storeEndpoint: String { "http://127.0.0.1:\(servers.withLock { $0.store?.port ?? 0 })" }

  /// All requests so far, in order.
  public var requests: [Request] { state.withLock { $0.requests } }
  /// Bytes of bodies sent for a path.
  public func bytesSent(_ path: String) -> Int { state.withLock { $0.sent[path] ?? 0 } }
  /// Bytes of all bodies sent, those of listings too.
  public var bytesSent: Int { state.withLock { $0.sent.values.reduce(0, +) } }

  /// Decides what goes wrong from now on.
  public func script(_ fault: @escaping @Sendable (Request) -> Fault?) { state.withLock { $0.fault = fault } }
  /// Changes a repository.
  public func change(_ name: String, _ change: (inout Repository) -> Void) {
    state.withLock { state in
      var repository = state.repositories[name] ?? Repository([:])
      change(&repository)
      state.repositories[name] = repository
    }
  }
  /// A mirror sends no `X-Repo-Commit`.
  public func omitCommits() { state.withLock { $0.sendsCommit = false } }
  /// Each answer comes so many seconds after its request.
  public func delay(_ seconds: Double) { state.withLock { $0.latency = seconds } }
  /// How many answers came one after the other: the time in which any was awaited, in units of the latency.
  public var turns: Double { state.withLock { $0.waiting.before / .seconds($0.latency) } }
  /// A mirror knows repositories and not their files.
  public func hideFiles() { state.withLock { $0.listsFiles = false } }
  /// Everything is below a path such as `/hub`, as behind the proxy of a team.
  public func move(below path: String) { state.withLock { $0.base = path } }
  /// A repository has another name now: requests for the old one are redirected to it, without a host.
  public func rename(_ old: String, to new: String) {
    state.withLock { state in
      state.newNames[old] = new
      state.repositories[new] = state.repositories.removeValue(forKey: old)
    }
  }
  /// Small files are behind a redirect to `/api/resolve-cache` on the same host, as on the real hub.
  public func cacheSmallFiles() { state.withLock { $0.cachesSmallFiles = true } }
  /// Changes entity tags as proxies do; `write` gets the bare tag and answers the header.
  public func tags(_ write: @escaping @Sendable (String) -> String) { state.withLock { $0.tag = write } }
  /// Forgets requests and counts.
  public func reset() {
    state.withLock {
      $0.requests = []
      $0.waiting.before = .zero
      $0.sent = [:]
    }
  }

  /// Takes no more connections.
  public func stop() {
    servers.withLock {
      $0.hub?.stop()
      $0.store?.stop()
    }
  }

  // MARK: Answers

  private func record(_ request: LoopbackServer.Request, path: String, isStore: Bool) -> (Request, Fault?) {
    wait()
    let (seen, fault) = state.withLock { state in
      let index = state.requests.count { $0.method == request.method && $0.path == path && $0.isStore == isStore }
      let seen = Request(
        method: request.method, path: path, isStore: isStore, range: request.header("Range"),
        ifRange: request.header("If-Range"), authorization: request.header("Authorization"), index: index)
      state.requests.append(seen)
      return (seen, state.fault)
    }
    return (seen, fault(seen))
  }

  /// Lets a request wait for the latency.
  private func wait() {
    let latency = state.withLock { state in
      if state.waiting.count == 0 { state.waiting.since = .now }
      state.waiting.count += 1
      return state.latency
    }
    if latency > 0 { Thread.sleep(forTimeInterval: latency) }
    state.withLock { state in
      state.waiting.count -= 1
      if state.waiting.count == 0 { state.waiting.before += .now - state.waiting.since }
    }
  }

  private func answerHub(_ request: LoopbackServer.Request, _ send: LoopbackServer.Send) -> Bool {
    var target = String(request.target.prefix { $0 != "?" })
    let base = state.withLock { $0.base }
    guard target.hasPrefix(base + "/") else { return sendHead(send, request, 404, [:]) }
    target.removeFirst(base.count)
    for (old, new) in state.withLock({ $0.newNames }) {
      for start in ["/api/models/\(old)/", "/\(old)/"] where target.hasPrefix(start) {
        let rest = target.dropFirst(start.count)
        let location = base + start.replacing("/\(old)/", with: "/\(new)/") + rest
        return sendHead(send, request, 307, ["Location": location])
      }
    }
    var parts = target.split(separator: "/").compactMap { $0.removingPercentEncoding }
    let isCache = parts.starts(with: ["api", "resolve-cache", "models"])
    if isCache {
      // /api/resolve-cache/models/OWNER/NAME/COMMIT/PATH
      parts.removeFirst(3)
      parts.insert("resolve", at: 2)
    }
    if parts.first == "api", parts.count >= 3 {
      let (_, fault) = record(request, path: "", isStore: false)
      if let answer = Self.statusFault(fault) { return sendHead(send, request, answer.0, answer.1) }
      let revision = parts.firstIndex(of: "revision").map { parts[($0 + 1)...].joined(separator: "/") } ?? "main"
      let name = parts[2..<(parts.firstIndex(of: "revision") ?? parts.count)].joined(separator: "/")
      switch find(name, revision, request) {
      case .failure(let refusal): return sendHead(send, request, refusal.status, ["X-Error-Code": refusal.code])
      case .success(let repository): return sendListing(name, repository, request, send)
      }
    }
    guard let resolve = parts.firstIndex(of: "resolve"), parts.count > resolve + 2 else {
      return sendHead(send, request, 404, [:])
    }
    // A revision may have slashes when they are encoded, and was decoded above, part by part.
    let revision = parts[resolve + 1]
    let path = parts[(resolve + 2)...].joined(separator: "/")
    let name = parts[..<resolve].joined(separator: "/")
    let (seen, fault) = record(request, path: path, isStore: false)
    if let answer = Self.statusFault(fault) { return sendHead(send, request, answer.0, answer.1) }
    switch find(name, revision, request) {
    case .failure(let refusal): return sendHead(send, request, refusal.status, ["X-Error-Code": refusal.code])
    case .success(let repository):
      var headers: [String: String] = [:]
      if state.withLock({ $0.sendsCommit }) { headers["X-Repo-Commit"] = repository.commit }
      guard let file = repository.files[path] else {
        return sendHead(send, request, 404, headers.merging(["X-Error-Code": "EntryNotFound"]) { $1 })
      }
      guard file.isLarge else {
        guard state.withLock({ $0.cachesSmallFiles }), !isCache else {
          return sendFile(file, path, seen, fault, request, headers, send)
        }
        let rest = target.dropFirst("/\(name)/resolve/\(revision)/".count)
        headers["Location"] = "\(base)/api/resolve-cache/models/\(name)/\(repository.commit)/\(rest)?etag=x"
        return sendHead(send, request, 307, headers)
      }
      var size = file.size
      if case .lie(let claimed) = fault { size = claimed }
      let encoded = path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? path
      headers["X-Linked-Size"] = "\(size)"
      headers["X-Linked-ETag"] = "\"\(file.etag)\""
      headers["Location"] = "\(storeEndpoint)/\(name)/\(repository.commit)/\(encoded)?signature=secret"
      return sendHead(send, request, 302, headers)
    }
  }

  private func answerStore(_ request: LoopbackServer.Request, _ send: LoopbackServer.Send) -> Bool {
    let parts = request.target.prefix { $0 != "?" }.split(separator: "/").compactMap { $0.removingPercentEncoding }
    for split in 1..<max(parts.count, 2) {
      let name = parts.prefix(split).joined(separator: "/")
      guard let repository = state.withLock({ $0.repositories[name] }), parts.count > split + 1 else { continue }
      let path = parts[(split + 1)...].joined(separator: "/")
      let (seen, fault) = record(request, path: path, isStore: true)
      if let answer = Self.statusFault(fault) { return sendHead(send, request, answer.0, answer.1) }
      guard let file = repository.files[path] else { break }
      return sendFile(file, path, seen, fault, request, [:], send)
    }
    return sendHead(send, request, 404, [:])
  }

  private struct Refusal: Error {
    let status: Int
    let code: String
  }

  private func find(
    _ name: String, _ revision: String, _ request: LoopbackServer.Request
  ) -> Result<Repository, Refusal> {
    guard let repository = state.withLock({ $0.repositories[name] }) else {
      return .failure(Refusal(status: 401, code: "RepoNotFound"))
    }
    switch repository.access {
    case .open: break
    case .tokenNeeded(let token):
      guard request.header("Authorization") == "Bearer \(token)" else {
        return .failure(Refusal(status: 401, code: "RepoNotFound"))
      }
    case .gated: return .failure(Refusal(status: 403, code: "GatedRepo"))
    }
    guard revision == repository.commit || repository.branches.contains(revision) else {
      return .failure(Refusal(status: 404, code: "RevisionNotFound"))
    }
    return .success(repository)
  }

  private func sendListing(
    _ name: String, _ repository: Repository, _ request: LoopbackServer.Request, _ send: LoopbackServer.Send
  ) -> Bool {
    let files = state.withLock { $0.listsFiles } ? repository.files.keys.sorted() : []
    let siblings = files.map { ["rfilename": $0] }
    let object: [String: Any] = [
      "_id": "0", "id": name, "modelId": name, "sha": repository.commit, "private": false, "siblings": siblings,
    ]
    let body = (try? JSONSerialization.data(withJSONObject: object)) ?? Data()
    var headers = ["Content-Length": "\(body.count)", "Content-Type": "application/json"]
    if state.withLock({ $0.sendsCommit }) { headers["X-Repo-Commit"] = repository.commit }
    guard send(Self.head(200, headers)) else { return false }
    if request.method == "HEAD" { return true }
    state.withLock { $0.sent["", default: 0] += body.count }
    return send(body)
  }

  private func sendFile(
    _ file: File, _ path: String, _ seen: Request, _ fault: Fault?, _ request: LoopbackServer.Request,
    _ more: [String: String], _ send: LoopbackServer.Send
  ) -> Bool {
    var range = 0..<file.size
    var status = 200
    var headers = more
    let tag = state.withLock { $0.tag }(file.etag)
    headers["ETag"] = tag
    headers["Accept-Ranges"] = "bytes"
    // A weak tag names no version (RFC 9110, 13.1.5).
    var isIgnored = seen.ifRange.map { $0 != tag || tag.hasPrefix("W/") } ?? false
    if case .ignoreRange = fault { isIgnored = true }
    if let text = seen.range, !isIgnored {
      let ends = text.dropFirst("bytes=".count).split(separator: "-", omittingEmptySubsequences: false)
      let first = Int(ends[0]) ?? 0
      guard first < file.size else { return sendHead(send, request, 416, ["Content-Range": "bytes */\(file.size)"]) }
      range = first..<min(ends.count > 1 ? Int(ends[1]).map { $0 + 1 } ?? file.size : file.size, file.size)
      headers["Content-Range"] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(file.size)"
      status = 206
    }
    headers["Content-Length"] = "\(range.count)"
    if case .lie(let size) = fault { headers["Content-Length"] = "\(size)" }
    guard send(Self.head(status, headers)) else { return false }
    if request.method == "HEAD" { return true }
    return sendBody(file, path, range, fault, send)
  }

  private func sendBody(
    _ file: File, _ path: String, _ range: Range<Int>, _ fault: Fault?, _ send: LoopbackServer.Send
  ) -> Bool {
    var end = range.upperBound
    var pause = 0.0
    var piece = 1 << 20
    var keeps = true
    switch fault {
    case .drop(let count), .stall(let count, _):
      end = min(end, range.lowerBound + count)
      keeps = false
    case .slow(let seconds):
      pause = seconds
      piece = 16 << 10
    case .lie: keeps = false
    default: break
    }
    var position = range.lowerBound
    while position < end {
      let part = position..<min(position + piece, end)
      var bytes = file.slice(part)
      if case .corrupt = fault { bytes[bytes.startIndex] ^= 0xFF }
      guard send(bytes) else { return false }
      state.withLock { $0.sent[path, default: 0] += part.count }
      position = part.upperBound
      if pause > 0 { Thread.sleep(forTimeInterval: pause) }
    }
    if case .stall(_, let seconds) = fault { Thread.sleep(forTimeInterval: seconds) }
    return keeps
  }

  private func sendHead(
    _ send: LoopbackServer.Send, _ request: LoopbackServer.Request, _ status: Int, _ headers: [String: String]
  ) -> Bool {
    send(Self.head(status, headers.merging(["Content-Length": "0"]) { first, _ in first }))
  }

  private static func statusFault(_ fault: Fault?) -> (Int, [String: String])? {
    switch fault {
    case .status(let status, let headers): (status, headers)
    case .redirect(let location): (302, ["Location": location])
    default: nil
    }
  }

  private static func head(_ status: Int, _ headers: [String: String]) -> String {
    let lines = headers.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }.joined()
    return "HTTP/1.1 \(status) Status\r\n\(lines)\r\n"
  }
}
