// swift-tools-version: 6.3
import PackageDescription

/// Set by scripts/test.sh, so that a warning fails our own checks but never somebody's build with a newer compiler.
let strict = Context.environment["ZOOPORT_WARNINGS_AS_ERRORS"] == "1"

/// Set by scripts/fuzz.sh to the path of libFuzzer's archive: Core is then built to tell the fuzzer where it has been.
let fuzzer = Context.environment["ZOOPORT_FUZZER"]

let settings: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
  ] + (strict ? [.treatAllWarnings(as: .error)] : [])

/// Trapping arithmetic and preconditions stay on in release builds, so the fuzzer needs no other switch.
let instrumented: [SwiftSetting] = fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer"])]

let package = Package(
  name: "zooport",
  // No library: see docs/decisions/no-library.md.
  products: [.executable(name: "zooport", targets: ["Server"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.4.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.90.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.24.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // Thin windows onto system libraries: a module map and, where C macros or variadics need it, inline wrappers.
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CIsal", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    // The page of the service, embedded by the C compiler: a Swift literal of this size takes minutes to compile.
    .target(name: "CWeb", exclude: ["web"]),

    .target(
      name: "Core",
      dependencies: [
        "CIsal", "CLZ4", "CLinux", "CZlib",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "OrderedCollections", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: settings + instrumented
    ),
    // The service and the command line, in layers: each target names all that it may import, and the compiler holds it to that.
    // scripts/check-layers.py, which `make test` runs, holds the list itself.
    .target(
      name: "API",
      dependencies: [
        "Core",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      path: "Sources/Server/API", swiftSettings: settings),
    .target(
      name: "Inputs",
      dependencies: [
        "API", "CCurl", "Core",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "OrderedCollections", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Server/Inputs", swiftSettings: settings),
    .target(
      name: "Jobs",
      dependencies: [
        "API", "Core", "Inputs",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Server/Jobs", swiftSettings: settings),
    .target(
      name: "SQLiteStore",
      dependencies: [
        "API", "Core", "Inputs", "Jobs",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Server/SQLiteStore", swiftSettings: settings),
    .target(
      name: "HTTPService",
      dependencies: [
        "API", "CLinux", "CWeb", "Core", "Inputs", "Jobs",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "OrderedCollections", package: "swift-collections"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Server/HTTPService", swiftSettings: settings),
    .target(
      name: "APIClient",
      dependencies: [
        "API", "Core", "Inputs",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Sources/Server/APIClient", swiftSettings: settings),
    .executableTarget(
      name: "Server",
      dependencies: [
        "API", "APIClient", "Core", "HTTPService", "Inputs", "Jobs", "SQLiteStore",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "OrderedCollections", package: "swift-collections"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      path: "Sources/Server",
      exclude: ["API", "APIClient", "HTTPService", "Inputs", "Jobs", "SQLiteStore"],
      swiftSettings: settings),

    // Conversions of recorded checkpoints with impossible shapes, for a suite and for the fuzzer.
    .target(
      name: "HostileShapes",
      dependencies: ["Core", .product(name: "OrderedCollections", package: "swift-collections")],
      path: "Tests/HostileShapes", swiftSettings: settings),

    .testTarget(
      name: "CoreTests",
      dependencies: [
        "Core", "HostileShapes",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "OrderedCollections", package: "swift-collections"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Tests/Core",
      swiftSettings: settings
    ),
    // What the suites share: a tiny HTTP server and a model hub on loopback that misbehave on request.
    .target(name: "TestSupport", path: "Tests/Support", swiftSettings: settings),
    // The same hub for tests in Python.
    .executableTarget(
      name: "hub-server",
      dependencies: ["TestSupport", .product(name: "Crypto", package: "swift-crypto")],
      path: "Tests/HubServer", swiftSettings: settings),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "API", "APIClient", "Core", "HTTPService", "Inputs", "Jobs", "SQLiteStore", "Server", "TestSupport",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdTesting", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Tests/Server",
      swiftSettings: settings
    ),
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["Core", "TestSupport", .product(name: "Crypto", package: "swift-crypto")],
      path: "Tests/EndToEnd", swiftSettings: settings),

    // A fuzz target for each parser, with the inputs that are kept.
    .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
    .executableTarget(
      name: "Fuzz",
      dependencies: ["CFuzzer", "Core", "HostileShapes"],
      path: "Tests/Fuzz", exclude: ["CFuzzer", "Corpus"],
      swiftSettings: settings + (fuzzer == nil ? [] : [.define("FUZZING")]),
      linkerSettings: fuzzer.map { [.unsafeFlags([$0]), .linkedLibrary("stdc++")] } ?? []),

    // Programs that print the figures that the documents claim.
    .executableTarget(
      name: "PlanningBenchmark",
      dependencies: ["Core", .product(name: "OrderedCollections", package: "swift-collections")],
      path: "benchmarks/Planning", swiftSettings: settings),
  ]
)
