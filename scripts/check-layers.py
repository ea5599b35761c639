#!/usr/bin/env python3
"""Checks that the targets of the service depend downwards only, and that each imports only what it declares.

SwiftPM lets a target import any module that has been built before, so a forgotten dependency may go unnoticed until somebody
builds from nothing. This asks `swift package dump-package` for the declared dependencies and reads the imports of every file.

    scripts/check-layers.py             check this package
    scripts/check-layers.py --self-test also prove that an upward import, a cycle and a foreign library are found
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What a target of the service may depend on among the others. The order is from the bottom up.
LAYERS = {
    "Core": set(),
    "API": {"Core"},
    "Inputs": {"Core", "API"},
    "Jobs": {"Core", "API", "Inputs"},
    "SQLiteStore": {"Core", "API", "Inputs", "Jobs"},
    "HTTPService": {"Core", "API", "Inputs", "Jobs"},
    "APIClient": {"Core", "API", "Inputs"},
    "Server": {"Core", "API", "Inputs", "Jobs", "SQLiteStore", "HTTPService", "APIClient"},
}

# Libraries that one target is there to keep from the others.
KEEPERS = {
    "GRDB": {"SQLiteStore"},
    "Hummingbird": {"HTTPService"},
    "HummingbirdCore": {"HTTPService"},
    "NIOCore": {"HTTPService"},
    "NIOHTTP1": {"HTTPService"},
    "NIOPosix": {"HTTPService"},
    "CCurl": {"Inputs"},
    "ArgumentParser": {"Server"},
}

# Products with more modules than the one of their name.
PRODUCTS = {"Yams": {"CYaml", "Yams"}}

# Modules of the toolchain, which nobody declares.
TOOLCHAIN = {"Dispatch", "Foundation", "Glibc", "Swift", "Synchronization"}

IMPORT = re.compile(r"^(?:@\w+(?:\([^)]*\))?\s+)*(?:public |package |internal |private |fileprivate )?import "
                    r"(?:struct |class |enum |protocol |func |var |let |typealias )?(\w+)")


def dependencies(target):
    """The modules that a target declares. Most products of other packages have the name of their module."""
    names = set()
    for entry in target["dependencies"]:
        for kind in ("byName", "target", "product"):
            if kind in entry:
                names |= PRODUCTS.get(entry[kind][0], {entry[kind][0]})
    return names


def imports(path):
    """The modules that a file imports, with their lines."""
    return [(number, match.group(1)) for number, line in enumerate(path.read_text().splitlines(), 1)
            if (match := IMPORT.match(line))]


def files(target):
    folder = ROOT / (target.get("path") or f"Sources/{target['name']}")
    excluded = [folder / name for name in target.get("exclude", [])]
    return sorted(path for path in folder.rglob("*.swift") if not any(path.is_relative_to(other) for other in excluded))


def faults(declared, imported):
    """What is wrong, one line each. `declared` is target -> modules, `imported` is target -> [(place, module)]."""
    found = []
    for name, allowed in LAYERS.items():
        if name not in declared:
            found.append(f"Package.swift has no target {name}")
            continue
        for other in sorted(declared[name] & set(LAYERS) - allowed):
            found.append(f"Package.swift: {name} must not depend on {other}")
        for place, module in imported[name]:
            if module in LAYERS and module not in allowed:
                found.append(f"{place}: {name} must not import {module}, which is not below it")
            elif module not in declared[name] | TOOLCHAIN:
                found.append(f"{place}: {name} imports {module} and does not declare it in Package.swift")
            if module in KEEPERS and name not in KEEPERS[module]:
                found.append(f"{place}: {module} is for {', '.join(sorted(KEEPERS[module]))} alone")
    return found


def self_test(declared, imported):
    """The same package with one mistake each; every one must be found."""
    upward = dict(imported, Jobs=imported["Jobs"] + [("Jobs/X.swift:1", "HTTPService")])
    assert "Jobs/X.swift:1: Jobs must not import HTTPService, which is not below it" in faults(declared, upward)
    cycle = dict(declared, Inputs=declared["Inputs"] | {"Jobs"})
    assert faults(cycle, imported) == ["Package.swift: Inputs must not depend on Jobs"]
    foreign = dict(imported, Jobs=imported["Jobs"] + [("Jobs/X.swift:1", "GRDB")])
    assert len(faults(declared, foreign)) == 2
    assert IMPORT.match("@preconcurrency package import Jobs").group(1) == "Jobs"
    assert IMPORT.match("import struct Foundation.Data").group(1) == "Foundation"


def main():
    package = json.loads(subprocess.run(
        ["swift", "package", "dump-package"], cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    targets = {target["name"]: target for target in package["targets"] if target["name"] in LAYERS}
    declared = {name: dependencies(target) for name, target in targets.items()}
    imported = {
        name: [(f"{path.relative_to(ROOT)}:{line}", module) for path in files(target) for line, module in imports(path)]
        for name, target in targets.items()
    }
    if "--self-test" in sys.argv[1:]:
        self_test(declared, imported)
    found = faults(declared, imported)
    print("\n".join(found) or f"{sum(map(len, imported.values()))} imports of {len(targets)} targets point downwards.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
