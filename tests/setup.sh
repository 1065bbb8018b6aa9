#!/usr/bin/env bash
# Installs what `make demo` or `make test` needs and says so: Debian or Ubuntu packages, and for tests a Python
# environment under target/peers with third-party programs that we test against.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?demo or test}
peers=${WATTRIBUTE_PEERS:-target/peers}

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v cargo >/dev/null || die "cargo is missing; install Rust 1.90 or newer from https://rustup.rs"

missing=()
while read -r package uses _; do
  [[ -z $package || $package == \#* ]] && continue
  [[ $what == test || $uses == demo ]] || continue
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done <tests/packages.txt

if ((${#missing[@]})); then
  command -v apt-get >/dev/null || die "please install: ${missing[*]}"
  as_root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || die "not root and no sudo; please install: ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing from the distribution's packages: ${missing[*]}"
  log=$(mktemp)
  # A package may want to start its service at once; we start our own, on our own ports.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || true
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1 \
    || { tail -20 "$log" >&2; die "apt-get failed; please install: ${missing[*]}"; }
  rm -f "$log"
fi

[[ $what == test ]] || exit 0

stamp=$peers/venv/.installed
if ! cmp -s tests/requirements.txt "$stamp"; then
  say "installing Python packages into $peers/venv: $(grep -vE '^(#|$)' tests/requirements.txt | tr '\n' ' ')"
  mkdir -p "$peers"
  python3 -m venv "$peers/venv" || die "python3 -m venv failed; please install python3-venv"
  "$peers/venv/bin/pip" install -q --disable-pip-version-check -r tests/requirements.txt \
    || die "pip could not install tests/requirements.txt"
  cp tests/requirements.txt "$stamp"
fi
