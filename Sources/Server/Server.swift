import Core

@main
enum Zooport {
  static func main() {}
}
