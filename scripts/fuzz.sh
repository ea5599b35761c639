#!/usr/bin/env bash
# Fuzzes every parser with libFuzzer, from the kept inputs on.
#   fuzz.sh SECONDS [TARGET ...]        each target for so long; all targets unless some are named
# With SHAPES=N, N recorded checkpoints with random shapes are converted as well, the same ones each time.
# What a target finds (a crash, a hang, too much memory) stays in .build-fuzz/found, and the script fails.
# With KEEP=1 the inputs that reach new code are merged into Tests/Fuzz/Corpus, to be reviewed and committed.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?seconds for each target}
shift
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then targets=(pickle zip legacy safetensors hdf5 chunk json yaml index shapes); fi

resources=$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p')
export ZOOPORT_FUZZER="$resources/clang/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a"
if [ ! -e "$ZOOPORT_FUZZER" ]; then
  echo "This Swift has no libFuzzer ($ZOOPORT_FUZZER); use the toolchain of swift.org." >&2
  exit 1
fi
swift build -c release --product Fuzz --scratch-path .build-fuzz
fuzz=.build-fuzz/release/Fuzz

# The fuzzer itself reports a trap, with the input.
export SWIFT_BACKTRACE=enable=no
mkdir -p .build-fuzz/found
if [ -n "${SHAPES:-}" ]; then timeout 3600 "$fuzz" seeded "$SHAPES"; fi
status=0
for target in "${targets[@]}"; do
  corpus=.build-fuzz/corpus/$target
  "$fuzz" unpack "$target" "$corpus"
  log=.build-fuzz/$target.log
  if "$fuzz" "$target" "$corpus" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix=".build-fuzz/found/$target-" >"$log" 2>&1; then
    printf '%-12s %s executions, nothing found\n' "$target" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    printf '%-12s FAILED, see %s\n' "$target" "$log"
    tail -n 20 "$log"
    status=1
  fi
  if [ -n "${KEEP:-}" ]; then scripts/keep-corpus.py "$fuzz" "$target" "$corpus"; fi
done
exit $status
