import Core
import OrderedCollections

/// How long planning takes for a state dict with very many keys: GPT-2 rules over 500,000 keys, Hugging Face to cs-2.9 and
/// back. Nothing is read or written, so the figure is that of the planner alone.
///
///     swift run -c release PlanningBenchmark [KEYS]
@main
struct PlanningBenchmark {
  static func main() throws {
    let wanted = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 500_000
    let layers = max(wanted / leaves.count, 1)
    let checkpoint = checkpoint(layers: layers)
    let config: ConfigObject = [
      "vocab_size": 32_000, "n_positions": 2048, "n_embd": .int(width), "n_head": 32, "n_layer": .int(layers),
      "n_inner": 11_008, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "activation_function": "gelu",
      "layer_norm_epsilon": 1e-5, "initializer_range": 0.02,
    ]
    let clock = ContinuousClock()

    let route = try Catalogue.route(model: "gpt2", from: "hf", to: "cs-2.9")
    var start = clock.now
    let plan = try Planner.plan(config: config, checkpoint: checkpoint, along: route)
    report("hf -> cs-2.9", keys: layers * leaves.count + 5, plan, start.duration(to: clock.now))

    let written = plan.tree?.mapTensors { index in
      TensorDescriptor(dtype: .bfloat16, shape: plan.tensors[index].tensor.shape, storage: StorageID(index))
    }
    guard let written else { return }
    let back = try Catalogue.route(model: "gpt2", from: "cs-2.9", to: "hf")
    start = clock.now
    let returned = try Planner.plan(config: plan.config, checkpoint: written, along: back)
    report("cs-2.9 -> hf", keys: plan.tensors.count, returned, start.duration(to: clock.now))
  }

  private static let width = 4096

  private static let leaves: [(key: String, shape: [Int])] = [
    ("ln_1.weight", [width]), ("ln_1.bias", [width]), ("attn.c_attn.weight", [width, 3 * width]),
    ("attn.c_attn.bias", [3 * width]), ("attn.c_proj.weight", [width, width]), ("attn.c_proj.bias", [width]),
    ("ln_2.weight", [width]), ("ln_2.bias", [width]), ("mlp.c_fc.weight", [width, 11_008]), ("mlp.c_fc.bias", [11_008]),
    ("mlp.c_proj.weight", [11_008, width]), ("mlp.c_proj.bias", [width]),
  ]

  private static func checkpoint(layers: Int) -> ObjectTree<TensorDescriptor> {
    var entries: [ObjectTree<TensorDescriptor>.Entry] = []
    func add(_ key: String, _ shape: [Int]) {
      entries.append(
        .init(
          .string(key),
          .tensor(TensorDescriptor(dtype: .bfloat16, shape: shape, storage: StorageID(entries.count)))))
    }
    add("transformer.wte.weight", [32_000, width])
    add("transformer.wpe.weight", [2048, width])
    for layer in 0..<layers {
      for (key, shape) in leaves { add("transformer.h.\(layer).\(key)", shape) }
    }
    add("transformer.ln_f.weight", [width])
    add("transformer.ln_f.bias", [width])
    add("lm_head.weight", [32_000, width])
    return .dictionary(entries, ordered: true)
  }

  private static func report(_ name: String, keys: Int, _ plan: Plan, _ time: Duration) {
    let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
    let rate = Int(Double(keys) / max(seconds, 1e-9))
    print("\(name): \(keys) keys -> \(plan.tensors.count) tensors in \(time), \(rate) keys/s")
  }
}
