import Testing

@testable import Core

@Suite struct PythonFloatTests {
  // Every expectation was printed by Python 3.11 and PyYAML 6.
  @Test(arguments: [
    (0.0, "0.0", "0.0"), (-0.0, "-0.0", "-0.0"), (1.0, "1.0", "1.0"), (-2.5, "-2.5", "-2.5"), (0.1, "0.1", "0.1"),
    (100.0, "100.0", "100.0"), (1e-4, "0.0001", "0.0001"), (1e-5, "1e-05", "1.0e-05"),
    (1.5e-5, "1.5e-05", "1.5e-05"), (0.00012345, "0.00012345", "0.00012345"),
    (1e15, "1000000000000000.0", "1000000000000000.0"), (1e16, "1e+16", "1.0e+16"),
    (123456789012345680.0, "1.2345678901234568e+17", "1.2345678901234568e+17"),
    (9007199254740993.0, "9007199254740992.0", "9007199254740992.0"),
    (1e22, "1e+22", "1.0e+22"), (1e100, "1e+100", "1.0e+100"), (.leastNonzeroMagnitude, "5e-324", "5.0e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"),
    (3.141592653589793, "3.141592653589793", "3.141592653589793"), (-1e-7, "-1e-07", "-1.0e-07"),
    (.infinity, "inf", ".inf"), (-.infinity, "-inf", "-.inf"), (.nan, "nan", ".nan"),
  ])
  func writesWhatPythonWrites(value: Double, repr: String, yaml: String) {
    #expect(PythonFloat.repr(value) == repr)
    #expect(PythonFloat.yaml(value) == yaml)
  }

  @Test func spellsInfinityAndNaNAsTheJSONModuleDoes() {
    #expect(PythonFloat.json(.infinity) == "Infinity")
    #expect(PythonFloat.json(-.infinity) == "-Infinity")
    #expect(PythonFloat.json(.nan) == "NaN")
    #expect(PythonFloat.json(1e-5) == "1e-05")
  }

  @Test func readsBackToTheSameFloat() {
    var random = SplitMix(seed: 7)
    for _ in 0..<20_000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      #expect(Double(PythonFloat.repr(value)) == value)
      #expect(Double(PythonFloat.yaml(value)) == value)
    }
  }
}

/// A small seeded generator, so that a failing case can be run again.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
