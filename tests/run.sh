#!/usr/bin/env bash
# Everything that must hold before a change lands, each step with its time; ends with `N passed, N failed`.
# A step or suite that ran no test has failed.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=target/test-logs
mkdir -p "$logs"
passed=0 failed=0 broken=()

step() { # name, command...
  local name=$1 log=$logs/$1.log begun=$SECONDS
  shift
  printf '== %s\n' "$name"
  if "$@" >"$log" 2>&1; then
    printf '   ok, %d s\n' $((SECONDS - begun))
  else
    broken+=("$name")
    tail -60 "$log"
    printf '   FAILED, %d s; whole log: %s\n' $((SECONDS - begun)) "$log"
  fi
  # Lines such as `test result: ok. 12 passed; 0 failed; ...` and `12 passed, 0 failed`.
  local p f
  p=$(grep -aoE '[0-9]+ passed' "$log" | awk '{n += $1} END {print n + 0}')
  f=$(grep -aoE '[0-9]+ failed' "$log" | awk '{n += $1} END {print n + 0}')
  passed=$((passed + p)) failed=$((failed + f))
  ((p + f == 0)) || printf '   %d passed, %d failed\n' "$p" "$f"
}

every_suite_ran() { # each tests/*.rs must have run at least one test
  local suite count missing=0
  for file in tests/*.rs; do
    suite=$(basename "$file" .rs)
    count=$(awk -v s="tests/$suite.rs" 'index($0, "Running " s) {on=1} on && /^test result:/ {print $4; exit}' "$logs/tests.log")
    if [[ ${count:-0} == 0 ]]; then
      echo "tests/$suite.rs ran no test"
      missing=1
    fi
  done
  return $missing
}

step format cargo fmt --check
step clippy cargo clippy --locked --all-targets -- -D warnings
step tests cargo test --locked --no-fail-fast
step suites every_suite_ran
step rules-and-dashboards python3 tests/check_rules.py
step benches cargo test --locked --bench core --bench exposition --bench ipmi --bench snmp --bench workloads
# Twenty seconds for each target, two at a time: three minutes. What earlier runs found is gone through again.
step fuzz fuzz/run.sh 20
step rustdoc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

if ((${#broken[@]})); then
  printf 'failed: %s\n' "${broken[*]}"
  ((failed)) || failed=${#broken[@]}
fi
((passed)) || { echo "no test ran"; failed=$((failed + 1)); }
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0 && ${#broken[@]} == 0))
