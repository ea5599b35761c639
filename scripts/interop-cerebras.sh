#!/usr/bin/env bash
# Compares Zooport with the real thing, cerebras_pytorch 2.10.0 and, where there is a checkout of it, Model Zoo 2.10.
#
#   MODEL_ZOO=CHECKOUT   also compare what the vendor's classes compute with transformers (Tests/Parity)
#   MODELS="gpt2 llama"  only these models (default: all)
#   FMT=cs-2.9           the release to convert to and back from
#
# Installs what is missing into .venv-cerebras (about 5 GB with the ordinary build of torch). Needs Python 3.11.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }

environment=.venv-cerebras
requirements=Tests/Parity
torch=2.4.0
stamp=$environment/installed-$(cat $requirements/requirements*.txt <(echo "$torch") | cksum | cut -d' ' -f1)
if [ ! -e "$stamp" ]; then
  if ! command -v python3.11 >/dev/null; then
    echo "Python 3.11 is missing: cerebras_pytorch 2.10.0 exists for no other. Put python3.11 on the PATH, then run this again." >&2
    exit 1
  fi
  say "Installing Python packages into $environment (torch $torch, cerebras_pytorch 2.10.0, transformers ...)"
  [ -x "$environment/bin/python" ] || python3.11 -m venv "$environment"
  install() { "$environment/bin/pip" install --quiet --disable-pip-version-check "$@"; }
  # Either build of torch serves. The CPU build is a tenth of the size; where it cannot be had, the ordinary one is installed.
  if ! "$environment/bin/python" -c "import torch; assert torch.__version__.startswith('$torch')" 2>/dev/null; then
    if ! install "torch==$torch+cpu" 2>/dev/null; then
      echo "    The CPU build of torch $torch is not to be had here; the ordinary one (some GB) takes its place."
      install "torch==$torch"
    fi
  fi
  install --no-deps -r $requirements/requirements-alone.txt
  install -r $requirements/requirements.txt
  touch "$stamp"
fi

say "cstorch.load reads every HDF5 checkpoint that Zooport writes"
export ZOOPORT_CEREBRAS_PYTHON="$PWD/$environment/bin/python"
ZOOPORT_PYTHON="$ZOOPORT_CEREBRAS_PYTHON" swift test --filter HDF5InteropTests

if [ -z "${MODEL_ZOO:-}" ]; then
  say "No MODEL_ZOO: the classes of the Model Zoo are not compared. MODEL_ZOO=PATH names a checkout of release 2.10."
  exit 0
fi

say "The classes of the Model Zoo compute what transformers computes"
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 # the checkout stays as it is
"$environment/bin/python" -W ignore Tests/Parity/selftest.py "$MODEL_ZOO"
# shellcheck disable=SC2086 # MODELS is a list of words
exec "$environment/bin/python" Tests/Parity/parity.py --model-zoo "$MODEL_ZOO" \
  --zooport "${ZOOPORT_BINARY:-.build/release/zooport}" --format "${FMT:-cs-2.9}" ${MODELS:-}
