import OrderedCollections
import Testing

@testable import Core

@Suite struct ActivationsTests {
  @Test(arguments: [
    "relu": "relu", "leaky_relu": "leaky_relu", "silu": "silu", "swish": "swish", "gelu": "gelu", "tanh": "tanh",
    "gelu_new": "gelu_new", "gelu_fast": "gelu_fast", "quick_gelu": "quick_gelu", "mish": "mish", "linear": "linear",
    "sigmoid": "sigmoid", "relu6": "relu6", "relu2": "squared_relu", "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_new", "gelu_python_tanh": "gelu_new", "gelu_accurate": "gelu_new",
  ]) func namesOfTransformers(_ hf: String, _ cs: String) throws {
    #expect(try Activations.modelZoo(.string(hf), key: "act", at: Release(2, 9)) == .string(cs))
  }

  @Test(arguments: [
    "relu": "relu", "gelu": "gelu", "gelu_new": "gelu_new", "squared_relu": "relu2", "GELU": "gelu", "swish": "swish",
  ]) func namesOfTheModelZoo(_ cs: String, _ hf: String) throws {
    #expect(try Activations.huggingFace(.string(cs), key: "act", at: Release(2, 9)) == .string(hf))
  }

  @Test func noNameIsTheIdentity() throws {
    #expect(try Activations.huggingFace(.null, key: "act", at: Release(2, 9)) == "linear")
  }

  @Test(
    arguments: ["relu_of_mine", "gelu_10", "laplace", "prelu", "xielu", "GELU", "squared_gelu", .null, 1, true]
      as [ConfigValue])
  func othersAreRefusedFromHuggingFace(_ name: ConfigValue) {
    #expect(throws: ConfigFailure.self) { try Activations.modelZoo(name, key: "act", at: Release(2, 9)) }
  }

  @Test(arguments: ["squared_gelu", "swiglu", "geglu", "reglu", "liglu", "swiglu_clamped", "mine", 0] as [ConfigValue])
  func othersAreRefusedFromTheModelZoo(_ name: ConfigValue) {
    #expect(throws: ConfigFailure.self) { try Activations.huggingFace(name, key: "act", at: Release(2, 9)) }
  }

  @Test func squaredReLUCameLate() {
    for release in [Release(1, 8), Release(2, 2)] {
      #expect(throws: ConfigFailure.self) { try Activations.modelZoo("relu2", key: "act", at: release) }
      #expect(throws: ConfigFailure.self) { try Activations.huggingFace("squared_relu", key: "act", at: release) }
    }
  }
}
