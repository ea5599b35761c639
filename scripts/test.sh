#!/usr/bin/env bash
# Every check of the project. Needs nothing beside it; recorded conversions in ../shared run as well where they are present.
set -euo pipefail
cd "$(dirname "$0")/.."
export ZOOPORT_WARNINGS_AS_ERRORS=1

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }

say "1. Tools: Debian and Python packages are installed if they are missing"
scripts/setup.sh test
export ZOOPORT_PYTHON=$PWD/.venv/bin/python
export ZOOPORT_BINARY=$PWD/.build/release/zooport

say "2. Format and layers: no folder of Core uses one above it, no target imports what it does not declare"
swift format lint --strict --recursive Package.swift Sources Tests benchmarks
scripts/folder-matrix.py Sources/Core
"$ZOOPORT_PYTHON" scripts/check-layers.py --self-test
"$ZOOPORT_PYTHON" -m pytest -q Tests/Scripts

say "3. Release build, warnings are errors"
swift build -c release

say "4. Debug build, warnings are errors"
swift build --build-tests

# Each suite has a process of its own: the time limits of the service's tests must not depend on a busy neighbour.
for suite in CoreTests ServerTests EndToEndTests; do
  say "5. $suite"
  swift test --skip-build --disable-xctest --filter "^$suite\\."
done

say "6. Interop: real transformers models there and back"
"$ZOOPORT_PYTHON" -m pytest -q Tests/Interop

say "7. Fuzzing: every parser for a few seconds from the kept inputs on"
scripts/fuzz.sh 8

say "8. Faults: kill -9 at a few random moments (make faults: at 100), full disks, a held database, clock jumps, frozen workers"
scripts/faults.sh -q -s Tests/Faults

say "9. Security: names, limits, slow clients, smuggling, tokens"
"$ZOOPORT_PYTHON" -m pytest -q Tests/Security

say "10. Deployment: nginx and Caddy in front, metrics and alerts, manifests, smoke test, backup"
"$ZOOPORT_PYTHON" -m pytest -q Tests/Deploy

say "11. The page: Chromium drives the real binary, as a person with a mouse, with keys alone, and with a screen reader's eyes"
"$ZOOPORT_PYTHON" -m pytest -q Tests/Page

if [ -f ../shared/tools/check_goldens.py ]; then
  say "12. All recorded conversions of the vendor's tools"
  for release in cs-1.8 cs-2.10 cs-2.10-mup; do
    "$ZOOPORT_PYTHON" ../shared/tools/check_goldens.py --binary "$ZOOPORT_BINARY" \
      --deviations Tests/Fixtures/deviations.json "../shared/goldens/$release"
  done
fi
if [ -f ../shared/cases/run_cases.py ]; then
  say "13. Inputs that users of such tools have met"
  "$ZOOPORT_PYTHON" ../shared/cases/run_cases.py --binary "$ZOOPORT_BINARY"
fi
say "Every check passed."
