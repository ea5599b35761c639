import API
import HTTPTypes

/// The page docs/reference.md, made of the same declarations as the OpenAPI document.
package enum ReferencePage {
  package static var markdown: String {
    var text = """
      # API reference

      Made from the route table: `zooport openapi --markdown` prints this page, `zooport openapi` and `GET /openapi.json` the same as OpenAPI 3.1.
      [rest.md](rest.md) explains and has examples, [access.md](access.md) tells about scopes. Errors are [Problem](#problem) documents
      (`application/problem+json`).

      """
    for group in Operation.Group.allCases {
      let routes = RouteTable.all.filter { $0.operation.group == group && !isTwin($0) }
      guard !routes.isEmpty else { continue }
      text += "\n## \(group.rawValue)\n"
      for route in routes { text += section(route) }
    }
    text += "\n## Documents\n"
    for name in SchemaName.allCases { text += section(name) }
    return text
  }

  /// True for HEAD that is told of with the GET of its path.
  private static func isTwin(_ route: RouteTable.Route) -> Bool {
    route.method == .head
      && RouteTable.all.contains {
        $0.method == .get && $0.path == route.path && $0.operation.id == route.operation.id
      }
  }

  private static func section(_ route: RouteTable.Route) -> String {
    let operation = route.operation
    let hasHead = route.method == .get && RouteTable.all.contains { $0.path == route.path && isTwin($0) }
    var text = "\n### \(route.method)\(hasHead ? ", HEAD" : "") `\(route.path)`\n\n\(operation.summary)"
    if !operation.details.isEmpty { text += " \(operation.details)" }
    text += "\n\n"
    text += route.scopes.isEmpty ? "Open to everybody.\n" : "Scope: \(route.scopes.joined(separator: " or ")).\n"
    if !route.parameters.isEmpty {
      text += "\n| parameter | in | |\n|---|---|---|\n"
      for parameter in route.parameters {
        text +=
          "| `\(parameter.name)` | \(parameter.place.rawValue) | \(parameter.summary) (\(parameter.schema.title)) |\n"
      }
    }
    if !operation.body.isEmpty { text += "\nBody: \(list(operation.body)).\n" }
    text += "\n| status | |\n|---|---|\n"
    for answer in operation.answers {
      var notes = [answer.summary]
      if !answer.content.isEmpty { notes.append(list(answer.content) + ".") }
      notes += answer.headers.map { "`\($0)`: \(HeaderDescription.text($0))" }
      text += "| \(answer.status) | \(notes.joined(separator: " ")) |\n"
    }
    for refusal in route.refusals {
      text += "| \(refusal.status) | \(refusal.codes.map { "`\($0.rawValue)`" }.joined(separator: ", ")) |\n"
    }
    return text
  }

  private static func section(_ name: SchemaName) -> String {
    let schema = name.schema
    guard !schema.fields.isEmpty else { return "\n### \(name.rawValue)\n\n\(schema.title)\n" }
    return "\n### \(name.rawValue)\n\n| field | type | |\n|---|---|---|\n" + rows(schema, under: "")
  }

  /// One row for each field, those of objects within under their path.
  private static func rows(_ schema: JSONSchema, under prefix: String) -> String {
    schema.fields.map { field in
      let path = prefix + field.name
      let summary =
        (field.isRequired ? [] : ["Optional."]) + (field.schema.summary.isEmpty ? [] : [field.schema.summary])
      return "| `\(path)` | \(field.schema.title) | \(summary.joined(separator: " ")) |\n"
        + rows(field.schema, under: path + ".")
    }.joined()
  }

  private static func list(_ content: [Operation.Content]) -> String {
    content.map { "\($0.schema.title) as `\($0.mediaType)`" }.joined(separator: ", or ")
  }
}
