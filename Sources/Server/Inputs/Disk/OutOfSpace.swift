import Foundation
import SystemPackage

extension Error {
  /// True when a disk or a quota is full, whichever library says so.
  package var isOutOfSpace: Bool {
    switch self {
    case let error as Errno: error == .noSpace || error == .diskQuotaExceeded
    case let error as CocoaError: error.code == .fileWriteOutOfSpace
    default: false
    }
  }
}
