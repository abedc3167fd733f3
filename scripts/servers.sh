#!/usr/bin/env bash
# Sees that the real servers of the tests are installed, and the browser that opens the report of
# `trellis bench`. It starts none: the tests start private ones, on free ports of the loopback and in
# temporary directories.
#
# What is missing is installed from Debian's packages, as root or by a sudo that asks nothing. What
# cannot be had is named, one line each; its tests are skipped. In CI (CI=true, or TRELLIS_CI) it is
# a failure. Its own tests give another path for the policy below.
set -uo pipefail
shopt -s nullglob

kinds='redis etcd zookeeper postgres mysql chromium'
# Asked by every package before it starts its service; 101 is no.
policy=${1:-/usr/sbin/policy-rc.d}
# Debian keeps the servers of PostgreSQL in folders of their own, and some others in /usr/sbin.
for folder in /usr/sbin /usr/lib/postgresql/*/bin; do PATH="$PATH:$folder"; done

has() { command -v "$1" >/dev/null 2>&1; }

# The servers are the same as in src/cli/servers/installed.ts.
found() {
  case $1 in
    redis) has redis-server ;;
    etcd) has etcd ;;
    zookeeper) has java && [ -e /usr/share/java/zookeeper.jar ] ;;
    postgres) has initdb && has postgres ;;
    mysql) has mariadbd && has mariadb-install-db ;;
    chromium) has chromium ;;
  esac
}

packages() {
  case $1 in
    redis) echo redis-server ;;
    etcd) echo etcd-server ;;
    zookeeper) echo zookeeper; has java || echo default-jre-headless ;;
    postgres) echo postgresql ;;
    mysql) echo mariadb-server ;;
    chromium) echo chromium ;;
  esac
}

missing() {
  local kind
  for kind in $kinds; do found "$kind" || echo "$kind"; done
}

# What keeps us from installing, or nothing.
obstacle() {
  if ! has apt-get; then
    echo 'there is no apt-get here; put its server on PATH'
  elif [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
    echo 'installing needs root, or sudo without a password'
  elif [ -e "$policy" ] && as_root "$policy" redis-server start >/dev/null 2>&1; then
    echo "$policy lets packages start their services; install it by hand"
  fi
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi; }

# Takes how long it may take, in seconds, and what apt-get is to do.
apt() {
  local seconds=$1
  shift
  as_root env DEBIAN_FRONTEND=noninteractive timeout --kill-after=10 "$seconds" \
    apt-get -q -y -o DPkg::Lock::Timeout=60 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$log" 2>&1
}

# A package would start its service on the default port, beside whatever runs there.
forbid_services() {
  [ -e "$policy" ] && return
  trap 'as_root rm -f "$policy"; rm -f "$log"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy"
}

install() {
  local kind before=$SECONDS
  forbid_services 2>>"$log" || return
  # Names of packages are split into words on purpose. All at once; if that fails, what is to be had.
  apt 120 update
  apt 420 install --no-install-recommends $(for kind in $1; do packages "$kind"; done) ||
    for kind in $1; do apt 120 install --no-install-recommends $(packages "$kind"); done
  echo "servers: installing took $((SECONDS - before)) s"
}

wanted=$(missing)
wanted=${wanted//$'\n'/ }
[ -n "$wanted" ] || exit 0

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
reason=$(obstacle)
if [ -z "$reason" ]; then
  echo "servers: installing $wanted"
  install "$wanted"
  reason='its package could not be installed'
fi

status=0
for kind in $(missing); do
  echo "servers: without $kind: $reason"
  status=1
done
[ "$status" -eq 0 ] && exit 0
grep -E '^(E|W|Err):' "$log" | tail -n 5
[ "${CI:-}" = true ] || [ -n "${TRELLIS_CI:-}" ] || exit 0
exit "$status"
