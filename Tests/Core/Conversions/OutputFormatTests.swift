import Testing

@testable import Core

@Suite struct OutputFormatTests {
  private func options(_ format: OutputFormat?) -> ConversionOptions {
    var options = ConversionOptions()
    options.outputFormat = format
    return options
  }

  @Test func writesWhatIsAskedForWithEqualTensors() throws {
    let model = try SmallGPT2()
    let path = try model.write(SafetensorsWriter.self, as: "model.safetensors")
    var seen: [[String: ReadTensor]] = []
    for (format, kind) in [(nil, .torchZip), (.torch, .torchZip), (.hdf5, .hdf5)] as [(OutputFormat?, ContainerKind)] {
      let result = try model.convert([path], options: options(format))
      #expect(result.checkpoint == model.folder.file("out/model_to_cs-1.8.mdl"))
      let source = try Checkpoint.open(path: try #require(result.checkpoint))
      #expect(source.kind == kind)
      seen.append(try source.tensors())
    }
    #expect(seen[0] == seen[1])
    #expect(seen[0] == seen[2])
    #expect(seen[0].count > SmallGPT2.tensors.count)

    for (format, name, kind) in [
      (nil, "model_to_cs-1.8_to_hf.bin", .torchZip), (.safetensors, "model_to_cs-1.8_to_hf.safetensors", .safetensors),
    ] as [(OutputFormat?, String, ContainerKind)] {
      let back = try model.convert(
        [model.folder.file("out/model_to_cs-1.8.mdl")], from: "cs-1.8", to: "hf",
        config: model.folder.file("out/config_to_cs-1.8.yaml"), options: options(format))
      #expect(back.checkpoint == model.folder.file("out/\(name)"))
      let source = try Checkpoint.open(path: try #require(back.checkpoint))
      #expect(source.kind == kind)
      let tensors = try source.tensors()
      let original = try Checkpoint.open(path: path).tensors()
      for (key, tensor) in original { #expect(tensors[key] == tensor, "\(key)") }
    }
  }

  @Test(arguments: [
    ("hf", OutputFormat.hdf5), ("hf", .torch), ("cs-1.8", .bin), ("cs-1.8", .safetensors), ("cs-2.0", .bin),
  ])
  func refusesContainersThatTheTargetDoesNotRead(target: String, format: OutputFormat) throws {
    let problems = options(format).problems(target: try #require(Format(target)))
    #expect(problems.map(\.option) == ["output_format"])
    #expect(problems.first?.message.contains(format.rawValue) == true)
  }

  @Test func followsTheToolOfTheRelease() {
    #expect(OutputFormat.allowed(for: .hf).first == .bin)
    #expect(OutputFormat.allowed(for: .cs(Release(1, 9))).first == .torch)
    #expect(OutputFormat.allowed(for: .cs(Release(2, 0))).first == .hdf5)
    #expect(OutputFormat.allowed(for: .cs(Release(2, 10))).first == .hdf5)
  }

  @Test func refusalLeavesNothing() throws {
    let model = try SmallGPT2()
    let path = try model.write(TorchZipWriter.self, as: "pytorch_model.bin")
    let error = conversionError { try model.convert([path], options: options(.safetensors)) }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("output_format") == true)
    #expect(model.outputs.isEmpty)
  }
}
