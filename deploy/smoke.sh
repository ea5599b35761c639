#!/usr/bin/env bash
# Checks a deployed service from outside: health, upload, conversion of a tiny generated checkpoint, download, digests.
#     ZOOPORT_TOKEN=zpt_... deploy/smoke.sh https://zooport.example.com
# The URL may also come from ZOOPORT_URL. Needs bash, curl, sed and sha256sum. Leaves nothing behind. Status 0: all is well.
set -euo pipefail

base=${1:-${ZOOPORT_URL:-http://127.0.0.1:8080}}
base=${base%/}
folder=$(mktemp -d)
created=()

# The token goes through a file, so that it is in no list of processes.
touch "$folder/curlrc"
chmod 600 "$folder/curlrc"
if [ -n "${ZOOPORT_TOKEN:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$ZOOPORT_TOKEN" >"$folder/curlrc"; fi

call() { curl --silent --show-error --fail-with-body --max-time 120 --config "$folder/curlrc" "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
ok() { echo "ok      $*"; }
# The value of a string or number in a JSON document, the last of that name on its line.
field() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\)\"\{0,1\}.*/\1/p" | head -n 1; }
same() { [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ] || fail "$1 has another digest than the service says"; }

# Uploads a file of the folder; its id is in `uploaded`.
upload() {
  call -T "$folder/$1" "$base/v1/uploads/$1" >"$folder/upload" || fail "upload: $(cat "$folder/upload")"
  same "$folder/$1" "$(field sha256 <"$folder/upload")"
  uploaded=$(field id <"$folder/upload")
  created=("/v1/uploads/$uploaded" "${created[@]}")
}

cleanup() {
  for path in "${created[@]}"; do call -o /dev/null -X DELETE "$base$path" || true; done
  rm -rf "$folder"
}
trap cleanup EXIT

# Writes a GPT-2 of one layer, two tokens and width two as safetensors: the length of a JSON header in eight bytes, the
# header, zeros.
generate() {
  # shellcheck disable=SC2054  # The commas are those of the shapes.
  local tensors=(wte.weight:2,2 wpe.weight:2,2 h.0.ln_1.weight:2 h.0.ln_1.bias:2 h.0.attn.c_attn.weight:2,6
    h.0.attn.c_attn.bias:6 h.0.attn.c_proj.weight:2,2 h.0.attn.c_proj.bias:2 h.0.ln_2.weight:2 h.0.ln_2.bias:2
    h.0.mlp.c_fc.weight:2,8 h.0.mlp.c_fc.bias:8 h.0.mlp.c_proj.weight:8,2 h.0.mlp.c_proj.bias:2 ln_f.weight:2
    ln_f.bias:2)
  local header='{' offset=0 tensor shape size
  for tensor in "${tensors[@]}"; do
    shape=${tensor#*:}
    size=$((4 * ${shape/,/*}))
    header+="\"transformer.${tensor%%:*}\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$offset,$((offset + size))]},"
    offset=$((offset + size))
  done
  header+="\"lm_head.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[$offset,$((offset + 16))]}}"
  offset=$((offset + 16))
  while [ $((${#header} % 8)) -ne 0 ]; do header+=' '; done
  {
    # shellcheck disable=SC2059  # The format is the bytes.
    printf "$(printf '\\x%02x\\x%02x' $((${#header} & 255)) $((${#header} >> 8)))\\0\\0\\0\\0\\0\\0"
    printf %s "$header"
    head -c "$offset" /dev/zero
  } >"$folder/model.safetensors"
  cat >"$folder/config.json" <<'JSON'
{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 2, "n_embd": 2, "n_head": 1, "n_layer": 1,
 "n_positions": 2, "n_inner": null, "activation_function": "gelu_new", "attn_pdrop": 0.1, "resid_pdrop": 0.1,
 "embd_pdrop": 0.1, "layer_norm_epsilon": 1e-05, "initializer_range": 0.02}
JSON
}

call -o /dev/null "$base/healthz" || fail "$base/healthz does not answer"
ok "the process lives"
call "$base/readyz" >"$folder/ready" || fail "the service is not ready: $(cat "$folder/ready")"
ok "database, workers and disk are ready"
call "$base/v1/models/gpt2" >/dev/null || fail "models cannot be read; is ZOOPORT_TOKEN right?"
ok "access"

generate
upload config.json
config=$uploaded
upload model.safetensors
model=$uploaded
ok "uploads, digests as here"

call -H 'Content-Type: application/json' "$base/v1/jobs" -o "$folder/job" -d "{\"model\": \"gpt2\", \"src_fmt\": \"hf\",
  \"tgt_fmt\": \"cs-1.8\", \"config\": {\"upload\": \"$config\"}, \"checkpoint\": {\"upload\": \"$model\"},
  \"options\": {\"verify\": true}, \"reuse\": false}" || fail "submission: $(cat "$folder/job")"
job=$(field id <"$folder/job")
created=("/v1/jobs/$job" "${created[@]}")
for _ in 1 2 3 4 5; do
  call -H 'Prefer: wait=30' "$base/v1/jobs/$job" >"$folder/job"
  case $(field status <"$folder/job") in succeeded | failed | cancelled) break ;; esac
done
[ "$(field status <"$folder/job")" = succeeded ] || fail "job $job: $(cat "$folder/job")"
ok "job $job succeeded and verified what it wrote"

# Every output, with the digest of the job and that of the header.
names=$(grep -o '"url":"/v1/jobs/[^"]*/outputs/[^"]*"' "$folder/job" | sed 's/.*outputs\///; s/"//')
[ -n "$names" ] || fail "the job has no outputs"
for name in $names; do
  call "$base/v1/jobs/$job/outputs/$name" -D "$folder/head" -o "$folder/output"
  digest=$(tr -d '\r' <"$folder/head" | sed -n 's/^[Ee][Tt]ag: "\(.*\)"$/\1/p')
  same "$folder/output" "$digest"
  grep -q "\"sha256\":\"$digest\"" "$folder/job" || fail "$name is not what the job says"
  call "$base/v1/jobs/$job/outputs/$name" -H 'Range: bytes=3-6' -o "$folder/range"
  cmp -s "$folder/range" <(tail -c +4 "$folder/output" | head -c 4) || fail "a range of $name is wrong"
done
ok "downloads: $(echo "$names" | wc -l) outputs, digests and ranges right"
echo "All is well at $base."
