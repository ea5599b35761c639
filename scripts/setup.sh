#!/usr/bin/env bash
# Installs what Zooport needs on Debian, if it is missing. Can be run any number of times.
#   setup.sh build   what building needs
#   setup.sh package also what the Debian package is made with
#   setup.sh test    also the programs that tests put beside the service, and the Python packages of the suites, in .venv
#   setup.sh bench   also what the benchmarks compare with
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

packages=(libcurl4-openssl-dev libsqlite3-dev libisal-dev liblz4-dev zlib1g-dev pkg-config curl ca-certificates)
target=${1:-build}
if [ "$target" != build ]; then packages+=(dpkg-dev help2man jq); fi
if [ "$target" = test ] || [ "$target" = bench ]; then
  packages+=(python3 python3-venv unzip hdf5-tools libfaketime nginx-light caddy prometheus sqlite3 systemd chromium)
fi
if [ "$target" = bench ]; then packages+=(wrk); fi

# Servers that tests start by themselves, on ports of their own.
units=(nginx caddy caddy-api prometheus)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  say "Installing Debian packages: ${missing[*]}"
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Installing needs root, and there is no sudo. Have an administrator run this, then try again:" >&2
      echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
      exit 1
    fi
    sudo=(sudo)
  fi
  # Packages of servers start them and have them started at boot. A policy that forbids starting holds while we install,
  # unless the machine has one of its own; what was not there before is not started at boot.
  new=()
  for unit in "${units[@]}"; do
    [ -e "/lib/systemd/system/$unit.service" ] || new+=("$unit.service")
  done
  policy=/usr/sbin/policy-rc.d
  remove_policy() { :; }
  if [ ! -e "$policy" ]; then
    remove_policy() { "${sudo[@]}" rm -f "$policy"; }
    trap remove_policy EXIT
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
  fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  remove_policy
  trap - EXIT
  for unit in "${new[@]}"; do
    if [ -e "/lib/systemd/system/$unit" ]; then "${sudo[@]}" systemctl --root=/ disable --quiet "$unit"; fi
  done
fi

if ! command -v swift >/dev/null; then
  echo "Swift is missing. Install Swift 6.3 or newer and put it on the PATH, then run this again." >&2
  exit 1
fi

if [ "$target" = test ] || [ "$target" = bench ]; then
  stamp=.venv/installed-$(cksum <Tests/Interop/requirements.txt | cut -d' ' -f1)
  if [ ! -e "$stamp" ]; then
    say "Installing Python packages into .venv (torch, safetensors, transformers ...: the peers we compare with)"
    python3 -m venv .venv
    # The CPU build of torch is a tenth of the size; where it cannot be had, the ordinary one serves.
    torch=$(sed -n 's/^torch==//p' Tests/Interop/requirements.txt)
    if ! .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch+cpu" 2>/dev/null; then
      echo "    The CPU build of torch $torch is not to be had here; the ordinary one (some GB) takes its place."
      .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch"
    fi
    .venv/bin/pip install --quiet --disable-pip-version-check -r Tests/Interop/requirements.txt
    touch "$stamp"
  fi
fi
