#!/usr/bin/env bash
# Runs every fuzz target of the module for a while each: scripts/fuzz.sh [TIME], default 30s.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
grep -rEl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //' | sort -u | while read -r target; do
    echo "== $dir $target"
    go test "$dir" -run "^$" -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x
  done
done
