import API
import Core
package import Foundation
import HTTPTypes
import Jobs

/// The description of the API after OpenAPI 3.1, made of the route table and the schemas.
package struct OpenAPIDocument: Sendable {
  let routes: [RouteTable.Route]

  /// The document of this service as JSON; the same bytes each time.
  package static let bytes: Data = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    // Trees of text, numbers and lists can always be encoded.
    return (try? encoder.encode(OpenAPIDocument(routes: RouteTable.all).json)) ?? Data()
  }()

  var json: JSONTree {
    var paths: [String: [String: JSONTree]] = [:]
    for route in routes { paths[route.path, default: [:]][route.method.rawValue.lowercased()] = operation(of: route) }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "Zooport", "version": .string(Core.Zooport.version),
        "description": "Converts model checkpoints and configs between Hugging Face and Cerebras Model Zoo.",
        "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
      ],
      "servers": [["url": "/"]],
      "paths": .object(paths.mapValues { .object($0) }),
      "webhooks": ["jobEnded": ["post": Self.jobEnded]],
      "components": [
        "schemas": .object(
          Dictionary(uniqueKeysWithValues: SchemaName.allCases.map { ($0.rawValue, $0.schema.described) })),
        "securitySchemes": [
          "token": [
            "type": "http", "scheme": "bearer",
            "description":
              "An access token with one of the scopes, or admin. Not needed while the service has no token.",
          ]
        ],
      ],
      "tags": .array(Operation.Group.allCases.map { ["name": .string($0.rawValue)] }),
    ]
  }

  /// What the service sends to a webhook.
  private static let jobEnded: JSONTree = [
    "operationId": "jobEnded", "summary": "A job has ended.",
    "description": "Sent to the webhook of a job, with headers after Standard Webhooks 1.0.0, until it is taken.",
    "parameters": .array(
      [
        ("webhook-id", "Of the message, the same in every try."),
        ("webhook-timestamp", "When this try was made, in seconds since 1970."),
        ("webhook-signature", "`v1,` and the Base64 of HMAC-SHA256 over id, timestamp and body, with dots between."),
      ].map { name, summary in
        [
          "name": .string(name), "in": "header", "required": true, "description": .string(summary),
          "schema": ["type": "string"],
        ]
      }),
    "requestBody": ["required": true, "content": content([.json(.webhookEvent)])],
    "responses": [
      "2XX": ["description": "Taken."], "410": ["description": "No messages any more: it is not sent again."],
      "default": ["description": "It is sent again later."],
    ],
  ]

  private func operation(of route: RouteTable.Route) -> JSONTree {
    let operation = route.operation
    var json: [String: JSONTree] = [
      "operationId": .string(route.operationID), "summary": .string(operation.summary),
      "tags": [.string(operation.group.rawValue)],
    ]
    if !operation.details.isEmpty { json["description"] = .string(operation.details) }
    if !route.parameters.isEmpty { json["parameters"] = .array(route.parameters.map(Self.parameter)) }
    if !operation.body.isEmpty {
      json["requestBody"] = ["required": .bool(operation.needsBody), "content": Self.content(operation.body)]
    }
    // Alternatives: one of the scopes is enough.
    json["security"] = .array(route.scopes.map { ["token": [.string($0)]] })
    var responses: [String: JSONTree] = [:]
    for answer in operation.answers {
      responses["\(answer.status)"] = Self.response(
        answer.summary, answer.content, headers: route.headers(of: answer), for: route.method)
    }
    for refusal in route.refusals {
      let codes = refusal.codes.map(\.rawValue).joined(separator: ", ")
      // A status may stand for an answer and for problems at once, as 503 of readiness does.
      let problem = [Operation.Content(mediaType: "application/problem+json", schema: .named(.problem))]
      let same = operation.answers.first { $0.status == refusal.status }
      responses["\(refusal.status)"] = Self.response(
        same.map { "\($0.summary) Or: \(codes)" } ?? codes, (same?.content ?? []) + problem,
        headers: Set(route.headers(ofRefusal: refusal.status) + (same.map(route.headers(of:)) ?? [])).sorted(),
        for: route.method)
    }
    json["responses"] = .object(responses)
    return .object(json)
  }

  private static func parameter(_ parameter: Operation.Parameter) -> JSONTree {
    [
      "name": .string(parameter.name), "in": .string(parameter.place.rawValue),
      "required": .bool(parameter.place == .path),
      "description": .string(parameter.summary), "schema": parameter.schema.json,
    ]
  }

  private static func content(_ content: [Operation.Content]) -> JSONTree {
    var types: [String: JSONTree] = [:]
    for content in content {
      var type: [String: JSONTree] = ["schema": content.schema.json]
      type["example"] = content.example
      types[content.mediaType] = .object(type)
    }
    return .object(types)
  }

  /// HEAD answers have heads only.
  private static func response(
    _ summary: String, _ content: [Operation.Content], headers: [String],
    for method: HTTPRequest.Method
  ) -> JSONTree {
    var json: [String: JSONTree] = ["description": .string(summary)]
    if !content.isEmpty, method != .head { json["content"] = Self.content(content) }
    json["headers"] = .object(
      Dictionary(
        uniqueKeysWithValues: headers.map {
          ($0, ["description": .string(HeaderDescription.text($0)), "schema": ["type": "string"]])
        }))
    return .object(json)
  }
}

extension RouteTable.Route {
  /// Unique among all routes, though GET and HEAD share an operation.
  var operationID: String {
    method == .head ? "head" + operation.id.prefix(1).uppercased() + operation.id.dropFirst() : operation.id
  }

  /// The scopes of which one is needed, in order; none for an open route.
  var scopes: [String] {
    guard case .anyOf(let scopes) = access else { return [] }
    return scopes.map(\.rawValue).sorted()
  }
}
