#!/bin/sh
# Puts what other projects wrote and tests work with into the user's cache, and prints the folder: client libraries that drive the server,
# and an MCP server, packed for a sandbox too. Does nothing when they are there.
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)/app/clients"
for need in node npm python3 sha256sum; do
  command -v "$need" >/dev/null || { echo "clients: $need is not installed; the tests of the client libraries need Node.js 20 or newer with npm, and Python 3.9 or newer" >&2; exit 1; }
done
sum=$(cat "$here/js/package-lock.json" "$here/python/requirements.txt" | sha256sum | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/clients-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp "$here/js/package.json" "$here/js/package-lock.json" "$new/"
  (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund) >&2
  python3 -m venv "$new/python" >&2
  "$new/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/python/requirements.txt" >&2
  tar -czf "$new/mcp-server.tgz" -C "$new" --exclude sdk-current --exclude sdk-older --exclude '*.map' --exclude '*.d.ts' node_modules
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
echo "$dir"
