/// What the routes of access do.
extension Operation {
  static let getMe = Operation(
    id: "getMe", group: .operations, summary: "Who asks, and what that lets them do.",
    answers: [Answer(status: 200, summary: "The caller.", content: [.json(.me)])])
}
