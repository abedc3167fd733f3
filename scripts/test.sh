#!/usr/bin/env bash
# Builds, runs every suite once and prints `N passed, N failed, N skipped` as the last line.
# Arguments go to vitest, so that `npm test -- test/crdt` runs one folder.
set -uo pipefail
cd "$(dirname "$0")/.."

report=$(mktemp)
# Servers that a suite needs are to be started after this line and stopped in this trap.
trap 'rm -f "$report"' EXIT

status=0
# The suites of the command run what is built.
npm run build --silent || status=$?
if [ "$status" -eq 0 ]; then
  node_modules/.bin/vitest run --reporter=default --reporter=json --outputFile.json="$report" "$@" || status=$?
fi
node scripts/test-summary.mjs "$report" "$status"
