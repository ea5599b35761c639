import API
import ArgumentParser

extension ByteCount: ExpressibleByArgument {
  var defaultValueDescription: String { description }
}
