package import API

/// Where messages wait until their receivers have taken them. Blocks; for threads. Each call is one transaction.
///
/// A message becomes pending in the transaction that ends its job, whichever that is: no end is without its message, and
/// no message tells of an end that was rolled back. It goes with its job.
package protocol WebhookStore: Sendable {
  /// The ended job whose message has been due for longest, unless its receiver is among `busy`, scheme, host and port, or
  /// its owner among `resting`; `""` stands for nobody. A job that cannot be read is passed over.
  ///
  /// A message is due at once when the job has ended, again when its time has come, and when its time is further away than
  /// `longestPause`: the wall clock was set back. Complexity: O(n) in the due messages that are passed over.
  func dueWebhook(
    at now: Timestamp, longestPause: Duration, notOf busy: Set<String>, resting: Set<String>
  ) throws -> Job?

  /// Stores what came of a try. Does nothing when the job has been deleted.
  func record(_ webhook: Webhook, of job: Identifier) throws
}
