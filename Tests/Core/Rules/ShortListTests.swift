import Testing

@testable import Core

@Suite("Short lists")
struct ShortListTests {
  /// The same changes to a short list and to an array, at every position of lists of up to five elements.
  @Test func changesAsAnArrayDoes() {
    for count in 0...5 {
      var array = Array(0..<count)
      var list = ShortList<Int>()
      for element in array { list.append(element) }
      #expect(Array(list) == array)
      #expect(list.count == count)

      for position in 0...count {
        var (inserted, expected) = (list, array)
        inserted.insert(9, at: position)
        expected.insert(9, at: position)
        #expect(Array(inserted) == expected, "insert at \(position) of \(count)")
      }
      for position in 0..<count {
        var (removed, expected) = (list, array)
        removed.remove(at: position)
        expected.remove(at: position)
        #expect(Array(removed) == expected, "remove at \(position) of \(count)")

        list[position] += 10
        array[position] += 10
        #expect(Array(list) == array, "replace at \(position) of \(count)")
      }
    }
  }

  @Test func equalListsAreEqualHoweverTheyWereMade() {
    var list = ShortList(repeating: 1, count: 4)
    list.remove(at: 0)
    #expect(list == ShortList(repeating: 1, count: 3))
    #expect(Set([list, ShortList(repeating: 1, count: 3)]).count == 1)
    #expect(list != ShortList(1))
  }

  /// A nil element is an element, as of a tensor that is missing.
  @Test func holdsOptionals() {
    var list = ShortList<Int?>(repeating: nil, count: 3)
    list[1] = 5
    #expect(Array(list) == [nil, 5, nil])
  }
}
