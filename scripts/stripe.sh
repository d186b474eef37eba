#!/bin/sh
# Puts stripe-mock, which holds requests to Stripe's own description of its API, into the user's cache and prints where it is. Its
# version is pinned here: as a tool of go.mod its dependencies would be Bureau's.
set -eu
version=v0.203.0
dir=${XDG_CACHE_HOME:-$HOME/.cache}/bureau/bin
bin=$dir/stripe-mock-$version
if [ ! -x "$bin" ]; then
  mkdir -p "$dir"
  tmp=$(mktemp -d "$dir/tmp-XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  GOBIN=$tmp go install "github.com/stripe/stripe-mock@$version" >&2
  mv "$tmp/stripe-mock" "$bin"
fi
echo "$bin"
