#!/bin/sh
# Makes what examples/deploy/peer.yaml names: an authority, one certificate for all three peers, and tokens.
# Usage: secrets.sh DIR [DAYS [NAMES]], NAMES such as DNS:a.example,IP:10.0.0.1. For a trial: a real authority's key does not lie beside the certificates.
set -eu
dir=$1
days=${2:-30}
names=${3:-DNS:peer-1,DNS:peer-2,DNS:peer-3,DNS:localhost,IP:127.0.0.1}
umask 077
mkdir -p "$dir"
cd "$dir"
curve="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
if [ ! -f ca.pem ]; then
  # shellcheck disable=SC2086
  openssl req -x509 $curve -days "$days" -subj "/CN=trellis trial authority" -keyout ca.key -out ca.pem
fi
# shellcheck disable=SC2086
openssl req -new $curve -subj "/CN=trellis-peer" -keyout peer.key.new -out peer.csr
printf 'subjectAltName=%s\n' "$names" >peer.ext
openssl x509 -req -in peer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" -extfile peer.ext -out peer.pem.new
# The pair is there as a whole or not at all, as far as two names allow; a peer that meets half of it keeps the old one.
mv peer.key.new peer.key
mv peer.pem.new peer.pem
rm -f peer.csr peer.ext
for name in cluster web observer; do
  [ -f "$name.token" ] || openssl rand -hex 24 >"$name.token"
done
