#!/usr/bin/env bash
# Installs the servers that are missing, builds, runs every suite once and prints
# `N passed, N failed, N skipped` as the last line.
# Arguments go to vitest, so that `npm test -- test/crdt` runs one folder.
set -uo pipefail
cd "$(dirname "$0")/.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT

status=0
# Suites start the servers that they need, which end with them.
bash scripts/servers.sh || status=$?
# The suites of the command run what is built.
[ "$status" -ne 0 ] || npm run build --silent || status=$?
if [ "$status" -eq 0 ]; then
  node_modules/.bin/vitest run --reporter=default --reporter=json --outputFile.json="$report" "$@" || status=$?
fi
node scripts/test-summary.mjs "$report" "$status"
