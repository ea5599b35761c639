#!/usr/bin/env bash
# Starts the service on a free port, converts the bundled GPT-2 checkpoint over REST, and shows what came out.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
show() { printf '    $ %s\n' "$*"; "$@"; }
# The value of a string or number in a JSON document, the last of that name on its line.
field() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\)\"\{0,1\}.*/\1/p" | head -n 1; }

say "1. Tools: what building needs is installed if it is missing"
scripts/setup.sh build

say "2. Build (the first time takes some minutes)"
swift build -c release --product zooport
zooport=$PWD/.build/release/zooport

rm -rf .demo
mkdir -p .demo/downloads
say "3. Start the service on a free port, with a data folder of its own"
"$zooport" serve --port 0 --data-dir .demo/data >.demo/stdout 2>.demo/log &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
base=
for _ in $(seq 1 100); do
  base=$(sed -n 's/.*listens on \(http[^ ]*\).*/\1/p' .demo/stdout)
  if [ -n "$base" ]; then break; fi
  kill -0 "$server" 2>/dev/null || { cat .demo/log >&2; exit 1; }
  sleep 0.1
done
[ -n "$base" ] || { echo "The service did not start; see .demo/log." >&2; exit 1; }
echo "    $base, log in .demo/log"

say "4. Submit a GPT-2 checkpoint that torch and transformers wrote: Hugging Face to Model Zoo 1.8"
fixture=Tests/Fixtures/gpt2
show curl -sS --fail-with-body "$base/v1/jobs" -F model=gpt2 -F src_fmt=hf -F tgt_fmt=cs-1.8 \
  -F "config=@$fixture/config.json" -F "checkpoint=@$fixture/pytorch_model.bin" -o .demo/job.json
job=$(field id <.demo/job.json)
echo "    job $job"

say "5. Poll until it ends"
for _ in $(seq 1 300); do
  curl -sS --fail-with-body "$base/v1/jobs/$job" -o .demo/job.json
  status=$(field status <.demo/job.json)
  printf '    %-10s %s of %s bytes, %s of %s tensors\n' "$status" "$(field bytes_done <.demo/job.json)" \
    "$(field bytes_total <.demo/job.json)" "$(field tensors_done <.demo/job.json)" "$(field tensors_total <.demo/job.json)"
  case $status in succeeded) break ;; failed | cancelled) cat .demo/job.json >&2; exit 1 ;; esac
  sleep 0.2
done
[ "$status" = succeeded ] || { echo "The job did not end in time." >&2; exit 1; }

say "6. Download both results"
for name in config_to_cs-1.8.yaml pytorch_model_to_cs-1.8.mdl; do
  show curl -sS --fail-with-body "$base/v1/jobs/$job/outputs/$name" -o ".demo/downloads/$name"
done

say "7. The converted config"
sed 's/^/    /' .demo/downloads/config_to_cs-1.8.yaml
say "The first tensors of the converted checkpoint"
"$zooport" inspect --limit 8 .demo/downloads/pytorch_model_to_cs-1.8.mdl | sed 's/^/    /'

echo
echo "The page of the service is at $base/"
if [ "${KEEP:-0}" != 0 ]; then
  echo "It stays up with this job until you press Ctrl-C."
  wait "$server"
  exit
fi

cat <<TEXT

Done. The results are in .demo/downloads.

Convert your own files:
    .build/release/zooport list
    .build/release/zooport convert --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 pytorch_model.bin --config config.json
Look at the page of this service:
    make demo KEEP=1
Keep a service running:
    make serve PORT=8080 DATA=./zooport-data
TEXT
