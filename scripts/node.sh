#!/bin/sh
# Puts the npm packages that tests need into the user's cache, as their lock files say. Does nothing when they are there.
set -eu
cd "$(dirname "$0")/.."
exec go run ./adapters/llm/internal/aimock/install
