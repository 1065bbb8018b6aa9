#!/usr/bin/env bash
# Fuzzes: `fuzz/run.sh SECONDS [TARGET...]`, each target for so long, two at a time (FUZZ_JOBS). One line a target, then
# `N passed, M failed`. A crash, a hang or too much memory fails; its input is kept and the command that shows it printed.
#
# libFuzzer on stable Rust: rustc has no -Zsanitizer there, but its LLVM has the coverage pass, and the runtime comes with
# libfuzzer-sys (g++ compiles it). With --target, the flags reach neither build scripts nor macros, which could not link.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
mapfile -t all < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v wattribute)
(($#)) || set -- "${all[@]}"
host=$(rustc -vV | sed -n 's/^host: //p')
built=target/fuzz/$host/release
logs=target/fuzz/logs

build() {
  local flags="--cfg fuzzing -Cpasses=sancov-module" option
  for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$option"
  done
  CARGO_TARGET_DIR=target/fuzz RUSTFLAGS=$flags \
    cargo build --manifest-path fuzz/Cargo.toml --locked --release --target "$host" --quiet
}

max_len() { # the longest input, bytes, and why
  case $1 in
    modbus) echo 768 ;;            # two frames and noise: what is kept is bounded by that
    sensor) echo 128 ;;            # a record has 64 bytes
    rakp) echo 512 ;;              # some dozens of steps: a setup has five
    rmcp) echo 2048 ;;             # some hundred datagrams: request numbers wrap at 64
    sdr | fru) echo 1024 ;;        # eight records; two areas of 512 bytes
    counter) echo 512 ;;           # some thirty sights
    serial) echo 2048 ;;           # longer than any line is waited for, some telegrams
    libvirt | profile) echo 4096 ;; # shapes, not sizes: limits on sizes have unit tests
    redfish | config) echo 8192 ;; # a service of a dozen resources; a file with all sections
    *) echo 4096 ;;
  esac
}

seeds() { # the target's own, and files that the repository has anyway
  echo "fuzz/corpus/$1"
  case $1 in
    profile) echo profiles/snmp ;;
    recording) echo tests/snmp/devices ;;
    http) echo profiles/http ;;
    modbus_profile) echo profiles/modbus ;;
    config) printf '%s\n' tests/cli tests/config_errors ;;
  esac
}

grouped() { sed -E ':a; s/([0-9])([0-9]{3})($|,)/\1,\2\3/; ta' <<<"$1"; }

fuzz() { # target; its line, and 1 if it failed
  local target=$1 log=$logs/$1.log kept=fuzz/artifacts/$1/ found=target/fuzz/corpus/$1 failed=0 dictionary=()
  mkdir -p "$kept" "$found"
  [[ -f fuzz/dictionaries/$target.txt ]] && dictionary=(-dict="fuzz/dictionaries/$target.txt")
  local before
  before=$(find "$kept" -type f | sort)
  mapfile -t folders < <(seeds "$target")
  "$built/$target" "$found" "${folders[@]}" -max_total_time="$seconds" -max_len="$(max_len "$target")" \
    -timeout=10 -rss_limit_mb=1024 -artifact_prefix="$kept" -print_final_stats=1 "${dictionary[@]}" \
    >"$log" 2>&1 || failed=1
  local runs coverage
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  coverage=$(grep -aoE 'cov: [0-9]+' "$log" | tail -1 | grep -oE '[0-9]+' || true)
  printf '%s: %s runs in %d s, %d crashes, coverage %s\n' \
    "$target" "$(grouped "${runs:-0}")" "$seconds" "$failed" "${coverage:-0}"
  if ((failed)); then
    grep -aE -A2 'panicked at|ERROR: libFuzzer' "$log" | head -20 | cut -c1-600
    comm -13 <(echo "$before") <(find "$kept" -type f | sort) | sed "s|^|  again with: $built/$target |"
  elif ((${runs:-0} == 0)); then
    echo "  it ran nothing: see $log"
    failed=1
  fi
  return "$failed"
}

mkdir -p "$logs"
build
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
for target in "$@"; do
  while (($(jobs -rp | wc -l) >= ${FUZZ_JOBS:-2})); do wait -n || true; done
  { fuzz "$target" && touch "$results/$target.passed" || touch "$results/$target.failed"; } &
done
wait
passed=$(find "$results" -name '*.passed' | wc -l)
failed=$(find "$results" -name '*.failed' | wc -l)
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && passed == $#))
