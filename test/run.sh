#!/usr/bin/env bash
# Lint, types and all tests, one after the other; a failure of one does not keep the others from running.
# The last line is `N passed, N failed`, with `, N skipped` where some were, whatever happened before it.
# Arguments choose among: lint types unit integration e2e.
set -uo pipefail
cd "$(dirname "$0")/.."

# Whatever starts `node` from here on gets version 24, whichever version the machine has.
export PATH="$PWD/node_modules/.bin:$PATH"

# All that the tests write lies below one folder, so that what an interrupted or crashed run leaves behind is found.
TMPDIR="$(mktemp -d "${TMPDIR:-/tmp}/crosswalk-run-XXXXXX")"
export TMPDIR
passed=0 failed=0 skipped=0 child=

add() {
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# On every way out, so that whoever reads the last line is never left without one.
finish() {
  local code=$?
  # Once more at the end, where whoever sees the last lines alone finds them.
  [ ! -f "$TMPDIR/failures" ] || { echo; cat "$TMPDIR/failures"; }
  rm -rf "$TMPDIR"
  [ $((passed + failed)) -gt 0 ] || failed=1
  echo
  if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [ "$failed" -eq 0 ] || code=1
  exit "$code"
}
trap finish EXIT

# vitest ends without its tear-down when it is interrupted, takes too long, or crashes.
end_left_overs() {
  node test/end-left-overs.ts "$TMPDIR"
}

# The run at hand is ended, and its servers, before the last line says that not all was run.
interrupted() {
  trap '' INT TERM
  add 0 1 0
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null
    wait "$child"
  fi
  end_left_overs
  echo "interrupted" >&2
  exit 130
}
trap interrupted INT TERM

# In the background and waited for: bash runs a trap only once the command in its foreground has ended.
run() {
  "$@" &
  child=$!
  wait "$child"
  local code=$?
  child=
  return "$code"
}

check() {
  echo
  echo "== $1"
  shift
  if run "$@"; then add 1 0 0; else add 0 1 0; fi
}

# A run that hangs is ended after its limit in seconds, and counts as failed.
tests() {
  local project="$1" limit="$2" counts
  echo
  echo "== $project tests"
  run timeout --foreground --kill-after=30 "$limit" \
    node node_modules/vitest/vitest.mjs run --project "$project" \
    --reporter=default --reporter=json --outputFile.json="$TMPDIR/$project.json"
  local code=$?
  end_left_overs
  [ "$code" -ne 124 ] || echo "the $project tests took longer than $limit s" >&2
  counts="$(node test/count-tests.ts "$TMPDIR/$project.json" "$code" "$TMPDIR/failures")" || counts="0 1 0"
  # shellcheck disable=SC2086
  add $counts
}

for part in ${@:-lint types unit integration e2e}; do
  case "$part" in
    lint) check "lint and format" biome check . ;;
    types) check "types" tsc --noEmit ;;
    unit) tests unit 240 ;;
    integration) tests integration "${CROSSWALK_LIMIT_SECONDS:-2400}" ;;
    e2e) tests e2e 900 ;;
    *)
      echo "run.sh: there is no part $part" >&2
      exit 2
      ;;
  esac
done
