#!/bin/sh
# Puts ajv, with the script that the benchmark of agent cards drives it by, into the user's cache, and prints the folder. Does nothing when it is
# there.
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)/app/bench/cards/js"
for need in node npm sha256sum; do
  command -v "$need" >/dev/null || { echo "ajv: $need is not installed; the benchmark of agent cards needs Node.js 20 or newer with npm" >&2; exit 1; }
done
sum=$(cat "$here/package-lock.json" "$here/ajv.mjs" | sha256sum | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/ajv-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp "$here/package.json" "$here/package-lock.json" "$here/ajv.mjs" "$new/"
  (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund) >&2
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
echo "$dir"
