#!/usr/bin/env bash
# Holds a fresh server to its own OpenAPI document: spectral (npm) reads the document, schemathesis (PyPI) plays it.
# Versions are pinned here; both are installed into the cache. EXAMPLES sets how many cases an operation gets.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bureau
schemathesis=4.32.5
spectral=6.16.3
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; }
  rm -rf "$work"
}
trap finish EXIT

if [ ! -x "$cache/schemathesis-$schemathesis/bin/st" ]; then
  python3 -m venv "$cache/schemathesis-$schemathesis"
  "$cache/schemathesis-$schemathesis/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$schemathesis"
fi
if [ ! -x "$cache/spectral-$spectral/node_modules/.bin/spectral" ]; then
  mkdir -p "$cache/spectral-$spectral"
  npm install --silent --no-audit --no-fund --prefix "$cache/spectral-$spectral" "@stoplight/spectral-cli@$spectral"
fi

go build -o "$work/bureau" ./app/cmd/bureau
export BUREAU_API_KEY="bureau_$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
BUREAU_RATE_LIMIT_SCALE=0 "$work/bureau" serve --addr "127.0.0.1:$port" --data "$work/data" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 300); do
  curl -fsS "$url/healthz" >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done

curl -fsS "$url/openapi.json" >"$work/openapi.json"
echo 'extends: ["spectral:oas"]' >"$work/ruleset.yaml"
"$cache/spectral-$spectral/node_modules/.bin/spectral" lint --fail-severity error --ruleset "$work/ruleset.yaml" "$work/openapi.json"
"$cache/schemathesis-$schemathesis/bin/st" run "$work/openapi.json" --url "$url" --header "x-api-key: $BUREAU_API_KEY" \
  --max-examples "${EXAMPLES:-20}" --checks all --seed 1 --workers 2 --request-timeout 20 --config-file "$PWD/scripts/schemathesis.toml" 2>/dev/null \
  || { tail -n 20 "$work/log"; exit 1; }
kill -0 "$server" || { echo "the server died:"; tail -n 40 "$work/log"; exit 1; }
