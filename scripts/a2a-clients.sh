#!/bin/sh
# Puts the official A2A libraries of JavaScript and Python, of both generations of the protocol, into the user's cache, and prints the folder:
# node_modules/a2a and python/bin/python are of 1.0, node_modules/a2a-older and python-0.3/bin/python of 0.3. Does nothing when they are there.
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)/app/clients/a2a"
for need in node npm python3 sha256sum; do
  command -v "$need" >/dev/null || { echo "a2a-clients: $need is not installed; the tests of the A2A libraries need Node.js 20 or newer with npm, and Python 3.10 or newer" >&2; exit 1; }
done
sum=$(cat "$here/package-lock.json" "$here/requirements.txt" "$here/requirements-0.3.txt" | sha256sum | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/a2a-clients-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp "$here/package.json" "$here/package-lock.json" "$new/"
  (cd "$new" && npm ci --ignore-scripts --no-audit --no-fund) >&2
  for version in "" -0.3; do
    python3 -m venv "$new/python$version" >&2
    "$new/python$version/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/requirements$version.txt" >&2
  done
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
echo "$dir"
