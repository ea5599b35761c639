import CCurl
import Core

/// The options of one request. What libcurl refuses is remembered, and `check` throws it: a request without the option
/// that keeps it from a private address, or bounds it, must not be sent.
struct CurlOptions {
  /// The handle, for the functions that take callbacks; their codes go to `note`.
  let handle: UnsafeMutableRawPointer
  private var refused: (option: String, code: CURLcode)?

  init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }

  mutating func set(_ option: CURLoption, _ value: Int) {
    note(zooport_curl_set_long(handle, option, value), of: option)
  }

  mutating func set(_ option: CURLoption, _ value: String?) {
    note(zooport_curl_set_string(handle, option, value), of: option)
  }

  mutating func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer) {
    note(zooport_curl_set_pointer(handle, option, value), of: option)
  }

  mutating func set(_ option: CURLoption, _ value: UnsafeMutablePointer<curl_slist>?) {
    note(zooport_curl_set_list(handle, option, value), of: option)
  }

  /// Sets what makes a request better and is not needed, where the library has it.
  func prefer(_ option: CURLoption, _ value: Int) { _ = zooport_curl_set_long(handle, option, value) }

  /// Takes the code of setting an option.
  mutating func note(_ code: CURLcode, of option: CURLoption) {
    if code != CURLE_OK, refused == nil { refused = ("\(option.rawValue)", code) }
  }

  /// Throws `.internal` when an option was refused.
  func check() throws(TransferFailure) {
    guard let refused else { return }
    throw TransferFailure(
      ConversionError(
        .internal, "libcurl does not take an option of a request",
        cause: "option \(refused.option): \(String(cString: curl_easy_strerror(refused.code)))"))
  }
}
