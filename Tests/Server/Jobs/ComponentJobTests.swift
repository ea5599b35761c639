import Crypto
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// Jobs and plans of models that are a folder for each component, with the real conversion.
@Suite("Jobs of composed models")
struct ComponentJobTests {
  private static let goldens = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures/goldens/cs-2.10")
  private static let source = goldens.appending(path: "llava/hf-to-cs-2.9-base/source")
  private static let parts = ["image_model", "text_model"]

  private let folder: TemporaryFolder
  private let app: App<CoreRunner>

  init() throws {
    folder = try TemporaryFolder()
    let settings = try Settings(
      flags: ["data-dir": folder.path.string, "workers": "1", "port": "0", "hub-endpoint": "http://127.0.0.1:9"],
      environment: [:])
    app = try App(
      settings: settings, runner: CoreRunner(), listings: Catalogue.listings,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func test(_ body: @Sendable (Client) async throws -> Void) async throws {
    try await app.server.application(services: [app.webhooks, app.pool], guardLimits: .init()).test(.router) {
      try await body(Client(base: $0))
    }
    withExtendedLifetime(folder) {}
  }

  private static func config(_ part: String) throws -> String {
    try String(contentsOf: source.appending(path: "\(part)/config.json"), encoding: .utf8)
  }

  /// Uploads a recorded file under a name and answers its id.
  private static func upload(_ file: URL, as name: String, _ client: Client) async throws -> String {
    let answer = try await client.base.executeRequest(
      uri: "/v1/uploads/\(PercentEncoding.encode(name))", method: .put, headers: [:],
      body: ByteBuffer(bytes: try Data(contentsOf: file)))
    #expect(answer.status == .created)
    let document = try JSONSerialization.jsonObject(with: Data(answer.body.readableBytesView)) as? [String: Any]
    return try #require(document?["id"] as? String)
  }

  /// A form with configs under the names, which a job or plan is asked for.
  private static func form(
    _ client: Client, _ configs: [(name: String, text: String)], model: String = "llava", source: String = "hf",
    to path: String = "/v1/jobs", headers: HTTPFields = [:]
  ) async throws -> Client.Answer {
    let fields = [
      ("command", "convert-config"), ("model", model), ("src_fmt", source),
      ("tgt_fmt", source == "hf" ? "cs-2.9" : "hf"),
    ]
    // The model follows the files: what a name means is known at the end only.
    let parts =
      configs.map { "name=config; filename=\"\($0.name)\"\r\n\r\n\($0.text)" }
      + fields.map { "name=\($0.0)\r\n\r\n\($0.1)" }
    let body = parts.map { "--B\r\nContent-Disposition: form-data; \($0)\r\n" }.joined() + "--B--\r\n"
    var headers = headers
    headers[.contentType] = "multipart/form-data; boundary=B"
    return try await client.send(.post, path, headers: headers, body: body)
  }

  private static func json(_ client: Client, _ body: [String: Any], to path: String = "/v1/jobs") async throws
    -> Client.Answer
  {
    let text = String(decoding: try JSONSerialization.data(withJSONObject: body), as: UTF8.self)
    return try await client.send(.post, path, headers: [.contentType: "application/json"], body: text)
  }

  // MARK: Outputs

  @Test(
    "Outputs have the folders of their components: in the list, alone, in the archive, in the report and when shared")
  func outputs() async throws {
    let made = Self.goldens.appending(path: "llava/cs-2.2-to-hf-base")
    try await test { client async throws in
      let weights = try await Self.upload(made.appending(path: "source/model.mdl"), as: "model.mdl", client)
      let params = try await Self.upload(made.appending(path: "source/params.yaml"), as: "params.yaml", client)
      let body: [String: Any] = [
        "model": "llava", "src_fmt": "cs-2.2", "tgt_fmt": "hf", "config": ["upload": params],
        "checkpoint": ["upload": weights],
      ]
      let job = try await client.wait(
        try #require(try await Self.json(client, body)["url"]), for: "succeeded")
      let outputs = try #require(job.json["outputs"] as? [[String: Any]])
      let names = outputs.compactMap { $0["name"] as? String }
      #expect(
        names == [
          "image_model/config.json", "image_model/preprocessor_config.json",
          "image_model/pytorch_model-00001-of-00001.bin", "image_model/pytorch_model.bin.index.json",
          "model_to_hf.report.json", "text_model/config.json", "text_model/pytorch_model-00001-of-00001.bin",
          "text_model/pytorch_model.bin.index.json",
        ])
      let url = try #require(job["url"])
      let config = try await client.send(.get, "\(url)/outputs/image_model/config.json")
      #expect(config.json["model_type"] as? String == "clip_vision_model")
      #expect(outputs[0]["url"] as? String == "\(url)/outputs/image_model/config.json")
      #expect(outputs[0]["sha256"] as? String == SHA256.hash(data: Data(config.body.utf8)).hexadecimal)
      #expect(config.headers[.contentDisposition]?.contains("filename=\"config.json\"") == true)
      // One segment that holds the slash is the same name.
      #expect(try await client.send(.get, "\(url)/outputs/image_model%2Fconfig.json").body == config.body)
      #expect(try await client.send(.head, "\(url)/outputs/text_model/config.json").status == .ok)
      for missing in ["config.json", "text_model/..", "text_model/config.jso", "x/config.json", "..%2Fx/y"] {
        #expect(try await client.send(.get, "\(url)/outputs/\(missing)").status == .notFound, "\(missing)")
      }
      let report = try await client.send(.get, "\(url)/outputs/model_to_hf.report.json")
      let listed = try #require(report.json["outputs"] as? [[String: Any]])
      #expect(Set(listed.compactMap { $0["name"] as? String }) == Set(names).subtracting(["model_to_hf.report.json"]))

      let again = try await Self.json(client, body)
      #expect(again.json["reused"] as? Bool == true)
      #expect((again.json["outputs"] as? [[String: Any]])?.compactMap { $0["name"] as? String } == names)
      let second = try #require(again["url"])
      #expect(try await client.send(.delete, url).status == .noContent)
      #expect(try await client.send(.get, "\(second)/outputs/image_model/config.json").body == config.body)
    }
  }

  @Test("What the outputs of a job take on the disk counts the folders of components")
  func bytes() async throws {
    let data = app.data
    let job = Identifier.generate()
    let names = try ["a/x", "a/y", "z"].map { try #require(FileName.output($0)) }
    for name in names {
      let path = data.output(job, name)
      try FileManager.default.createDirectory(
        atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
      try Data(count: 8192).write(to: URL(filePath: path.string))
    }
    var links = FileLinks()
    #expect(data.outputBytes(of: job, after: &links) >= 3 * 8192)
    let other = Identifier.generate()
    #expect(data.share(names.map { JobOutput(name: $0, size: 8192, sha256: "") }, of: job, with: other))
    links = FileLinks()
    #expect(data.outputBytes(of: job, after: &links) == 0)
    #expect(data.outputBytes(of: other, after: &links) >= 3 * 8192)
    withExtendedLifetime(folder) {}
  }

  // MARK: Inputs

  @Test("Forms name files by folder, whatever comes first; JSON says the component; both convert alike")
  func inputs() async throws {
    let texts = try Dictionary(uniqueKeysWithValues: Self.parts.map { ($0, try Self.config($0)) })
    try await test { client async throws in
      let named = Self.parts.map { ("\($0)/config.json", texts[$0] ?? "") }
      let form = try await Self.form(client, named.reversed())
      #expect(form.status == .accepted)
      let first = try await client.wait(try #require(form["url"]), for: "succeeded")
      let body =
        #"{"command":"convert-config","model":"llava","src_fmt":"hf","tgt_fmt":"cs-2.9","reuse":false,"config":["#
        + Self.parts.map { #"{"component":"\#($0)","inline":\#(texts[$0] ?? "")}"# }.joined(separator: ", ") + "]}"
      let json = try await client.submit(body)
      #expect(json.status == .accepted, "\(json.body)")
      let second = try await client.wait(try #require(json["url"]), for: "succeeded")
      let inputs = try #require(second.json["inputs"] as? [String: Any])
      #expect(
        (inputs["config"] as? [[String: Any]])?.map { $0["filename"] as? String }
          == ["image_model/config.json", "text_model/config.json"])
      let digests = [first, second].map { job in
        (job.json["outputs"] as? [[String: Any]])?.first { $0["name"] as? String == "config_to_cs-2.9.yaml" }?["sha256"]
          as? String
      }
      #expect(digests[0] != nil && digests[0] == digests[1])
      let plan = try await Self.form(client, named, to: "/v1/plans")
      #expect(plan.json["convertible"] as? Bool == true)
      #expect((plan.json["inputs"] as? [[String: Any]])?.map { $0["name"] as? String } == named.map(\.0))
      // `auto` knows the folders of all models; these two are those of several, which it says.
      let open = try await Self.form(client, named, model: "auto", to: "/v1/plans")
      #expect(open.json["convertible"] as? Bool == false)
      #expect((open.json["error"] as? [String: Any])?["message"].map { "\($0)" }?.contains("mmsimple-llava") == true)
    }
  }

  @Test(
    "A name that is not exactly a folder of the model and a file is refused, with the folders",
    arguments: [
      "../config.json", "/image_model/config.json", "image_model//config.json", "image_model/../config.json",
      "image_model/..", "image_model/", "image_model/.config.json", "Image_Model/config.json",
      "image_model /config.json",
      "./image_model/config.json", "a/image_model/config.json", "q_encoder/config.json", "image_model\\config.json",
      "image_model/x\\config.json", "image_model/\u{202E}config.json", "C:\\image_model\\config.json",
    ])
  func refused(_ name: String) async throws {
    try await test { client async throws in
      for path in ["/v1/jobs", "/v1/plans"] {
        // As clients send a backslash in a quoted name.
        let quoted = name.replacingOccurrences(of: "\\", with: "\\\\")
        let answer = try await Self.form(client, [(quoted, "{}"), ("text_model/config.json", "{}")], to: path)
        #expect(answer.status == .unprocessableContent, "\(answer.body)")
        let finding = try #require((answer.json["diagnostics"] as? [[String: Any]])?.first)
        #expect(finding["subject"] as? String == "config[0]")
        #expect((finding["message"] as? String)?.contains("llava has image_model, text_model") == true, "\(finding)")
      }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path.appending("uploads").string).isEmpty)
  }

  @Test("Models without folders take the last part of a path, as ever; one without a name is found by its folders")
  func flat() async throws {
    try await test { client async throws in
      for (model, source, name) in [
        ("gpt2", "hf", "image_model/config.json"), ("gpt2", "hf", "C:\\\\x\\\\config.json"),
        ("llava", "cs-2.9", "/home/me/params.yaml"), ("auto", "hf", "/home/me/config.json"),
        ("llava", "hf", "config.json"),
      ] {
        let answer = try await Self.form(client, [(name, "{}")], model: model, source: source)
        #expect(answer.status == .accepted, "\(answer.body)")
        let config = (answer.json["inputs"] as? [String: Any])?["config"] as? [String: Any]
        let last = name.split { $0 == "/" || $0 == "\\" }.last.map(String.init)
        #expect(config?["filename"] as? String == last)
      }
      let open = try await Self.form(client, [("Q_Encoder/config.json", "{}")], model: "auto")
      #expect(open["detail"]?.contains("q_encoder") == true)
      #expect(open.status == .unprocessableContent)
    }
  }

  @Test(
    "What JSON says of components is checked",
    arguments: [
      (
        #"[{"inline":{},"component":"q_encoder"},{"inline":{},"component":"text_model"}]"#, "config[0]",
        "image_model, text"
      ),
      (#"[{"inline":{},"component":"../x"},{"inline":{},"component":"text_model"}]"#, "config[0]", "image_model, text"),
      (#"[{"inline":{},"component":1}]"#, "config", "must be a string"),
      (#"[{"inline":{},"component":"text_model"},{"inline":{}}]"#, "config", "config.json is of no component"),
      (
        #"[{"inline":{},"component":"text_model"},{"inline":{},"component":"text_model"}]"#, "config", "one config only"
      ),
      (#"[{"inline":{}},{"inline":{}}]"#, "config", "there may be one config only"), ("[]", "config", "is empty"),
    ])
  func checked(_ config: String, _ field: String, _ text: String) async throws {
    try await test { client async throws in
      let answer = try await client.submit(
        #"{"command":"convert-config","model":"llava","src_fmt":"hf","tgt_fmt":"cs-2.9","config":\#(config)}"#)
      #expect(answer.status == .unprocessableContent)
      let findings = (answer.json["diagnostics"] as? [[String: Any]]) ?? []
      #expect(
        findings.contains { $0["subject"] as? String == field && ($0["message"] as? String)?.contains(text) == true },
        "\(answer.body)")
    }
  }

  @Test("A component of a model that is one checkpoint, or of a checkpoint of the Model Zoo, is refused")
  func none() async throws {
    try await test { client async throws in
      for (model, source) in [("gpt2", "hf"), ("llava", "cs-2.9")] {
        let target = source == "hf" ? "cs-2.9" : "hf"
        let answer = try await client.submit(
          #"{"command":"convert-config","model":"\#(model)","src_fmt":"\#(source)","tgt_fmt":"\#(target)","#
            + #""config":{"inline":{},"component":"image_model"}}"#)
        #expect(answer.status == .unprocessableContent)
        #expect(answer.body.contains("\(model) is one checkpoint here"), "\(answer.body)")
      }
      // An upload keeps its folder, which the model of the job may not have.
      let id = try await client.upload("image_model/config.json", "{}")
      let answer = try await client.submit(
        #"{"command":"convert-config","model":"gpt2","src_fmt":"hf","tgt_fmt":"cs-2.9","config":{"upload":"\#(id)"}}"#)
      #expect(answer.status == .unprocessableContent)
      let refused = try await client.send(.put, "/v1/uploads/other%2Fconfig.json", body: "{}")
      #expect(refused["detail"]?.contains("image_model") == true)
    }
  }

  @Test("A component that is missing is named by the plan, and by the job that fails")
  func missing() async throws {
    let text = try Self.config("image_model")
    try await test { client async throws in
      let plan = try await Self.form(client, [("image_model/config.json", text)], to: "/v1/plans")
      let message = ((plan.json["error"] as? [String: Any])?["message"] as? String) ?? ""
      #expect(message.contains("no component 'text_model'"), "\(plan.body)")
      let job = try await Self.form(client, [("image_model/config.json", text)])
      let failed = try await client.wait(try #require(job["url"]), for: "failed")
      #expect(((failed.json["error"] as? [String: Any])?["detail"] as? String)?.contains("'text_model'") == true)
    }
  }

  @Test("Files that change their folders are another submission")
  func idempotency() async throws {
    try await test { client async throws in
      let names = Self.parts.map { "\($0)/config.json" }
      func send(_ names: [String]) async throws -> Client.Answer {
        try await Self.form(client, names.map { ($0, "{}") }, headers: [.idempotencyKey: "k"])
      }
      #expect(try await send(names).status == .accepted)
      #expect(try await send(names).status == .ok)
      #expect(try await send(names.reversed()).status == .unprocessableContent)
    }
  }

  @Test("Repositories of components bring their own configs; what says no component does not belong to several")
  func repositories() async throws {
    try await test { client async throws in
      func submit(_ inputs: String) async throws -> Client.Answer {
        try await client.submit(
          #"{"model":"llava","src_fmt":"hf","tgt_fmt":"cs-2.9","checkpoint":[\#(inputs)]}"#)
      }
      let answer = try await submit(
        #"{"hub":"owner/clip","component":"image_model"},{"hub":"owner/vicuna","component":"text_model"}"#)
      #expect(answer.status == .accepted, "\(answer.body)")
      let inputs = try #require(answer.json["inputs"] as? [String: Any])
      for part in ["config", "checkpoint"] {
        let entries = try #require(inputs[part] as? [[String: Any]])
        #expect(entries.map { $0["filename"] as? String } == ["image_model/clip", "text_model/vicuna"])
        #expect(entries.map { $0["hub"] as? String } == ["owner/clip", "owner/vicuna"])
      }
      let flat = try await submit(#"{"hub":"owner/clip"},{"hub":"owner/vicuna"}"#)
      #expect(flat["detail"]?.contains("config is missing") == true, "\(flat.body)")
      let other = try await submit(
        #"{"hub":"owner/clip","component":"q_encoder"},{"hub":"owner/x","component":"text_model"}"#)
      let finding = try #require((other.json["diagnostics"] as? [[String: Any]])?.first)
      #expect(finding["subject"] as? String == "checkpoint[0]")
      #expect((finding["message"] as? String)?.contains("llava has image_model, text_model") == true)
    }
  }

  @Test("The texts of inline configs are apart from the record and come back in their order")
  func texts() throws {
    let names = ["a", "b", "c"].map { FileName.config.inside($0) }
    let config = JobInput(parts: [
      .inline("{\"x\": 1.50}", names[0]), .upload(.generate(), names[1]), .inline("[]", names[2]),
    ])
    let text = try #require(try config.text)
    let stored = try JSONDecoder().decode(JobInput.self, from: JSONEncoder().encode(config.withoutText))
    #expect(stored == config.withoutText && stored != config)
    #expect(try stored.with(text: text) == config)
    #expect(try stored.with(text: nil) == stored)
    let alone = JobInput(parts: [.inline("{}", names[0])])
    #expect(alone == .inline("{}", names[0]))
    #expect(try alone.text == "{}")
    #expect(try alone.withoutText.with(text: "{}") == alone)
    #expect(try JobInput.components([.upload(.generate(), names[0])]).text == nil)
  }
}
