#!/usr/bin/env bash
# Runs Tests/Faults against .build/release/zooport; arguments go to pytest. Tests of full disks mount a small one, which root
# may: others get a user namespace in which they are root, where the machine allows that.
set -euo pipefail
cd "$(dirname "$0")/.."

namespace=()
if [ "$(id -u)" -ne 0 ] && unshare --user --map-root-user --mount true 2>/dev/null; then
  namespace=(unshare --user --map-root-user --mount)
fi
exec "${namespace[@]}" "${ZOOPORT_PYTHON:-.venv/bin/python}" -m pytest "$@"
