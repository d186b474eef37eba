#!/bin/sh
# Builds sdk/typescript in the user's cache, from its lock file, and prints the folder. Does nothing when that is there.
set -eu
sdk="$(cd "$(dirname "$0")/.." && pwd)/sdk/typescript"
for need in node npm sha256sum; do
  command -v "$need" >/dev/null || { echo "valta-sdk: $need is not installed; the tests of the TypeScript client need Node.js 20 or newer with npm" >&2; exit 1; }
done
sum=$(cd "$sdk" && cat package.json package-lock.json tsconfig*.json scripts/* src/* | sha256sum | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/valta-sdk-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp -r "$sdk/package.json" "$sdk/package-lock.json" "$sdk/tsconfig.json" "$sdk/tsconfig.cjs.json" "$sdk/scripts" "$sdk/src" "$new/"
  (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund && npm run build) >&2
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
echo "$dir"
