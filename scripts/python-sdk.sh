#!/bin/sh
# Makes the two environments in the user's cache in which sdk/python is tested, with the newest and with the oldest libraries that it
# works with, checks its types, and prints their folder. Does nothing when that is done.
set -eu
sdk="$(cd "$(dirname "$0")/.." && pwd)/sdk/python"
for need in python3 sha256sum; do
  command -v "$need" >/dev/null || { echo "python-sdk: $need is not installed; the tests of the Python client need Python 3.10 or newer" >&2; exit 1; }
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "python-sdk: python3 is $(python3 -V); the tests of the Python client need 3.10 or newer" >&2; exit 1; }
sum=$( { python3 -V; cat "$sdk"/tests/requirements-*.txt; } | sha256sum | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/python-sdk-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  for which in newest oldest; do
    python3 -m venv "$new/$which" >&2
    "$new/$which/bin/python" -m pip install --quiet --disable-pip-version-check -r "$sdk/tests/requirements-$which.txt" >&2
  done
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
sum=$(cd "$sdk" && cat pyproject.toml sdk/*.py | sha256sum | cut -c1-12)
if [ ! -e "$dir/typed-$sum" ]; then
  (cd "$sdk" && "$dir/newest/bin/python" -m mypy --cache-dir "$dir/mypy" --no-error-summary) >&2
  touch "$dir/typed-$sum"
fi
echo "$dir"
