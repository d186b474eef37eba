#!/usr/bin/env bash
# A real Kubernetes API server over etcd, for the tests of the kubernetes host: no root, no containers, no node, loopback only.
#
#   scripts/kubernetes.sh up       start it (the first time: build it, which takes minutes) and print its directory; a running one is left alone
#   scripts/kubernetes.sh down     stop it and delete its data
#   scripts/kubernetes.sh status   print its directory, or exit with 3 when it does not run
#
# The directory has admin.kubeconfig. The tests take it with -cluster: go test ./adapters/runtime/kubernetes -cluster "$(scripts/kubernetes.sh up)"
# Where: BUREAU_KUBERNETES_DIR; by default ${XDG_CACHE_HOME:-~/.cache}/bureau/kubernetes. Its source is the module
# adapters/runtime/kubernetes/internal/apiserver, which needs what the server itself shall not.
set -euo pipefail

cd "$(dirname "$0")/.."
source=adapters/runtime/kubernetes/internal/apiserver
base=${BUREAU_KUBERNETES_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bureau/kubernetes}
data=$base/data

die() {
  printf 'kubernetes.sh: %s\n' "$*" >&2
  exit 1
}

prepare() {
  command -v flock >/dev/null || die "flock is missing (Debian: util-linux)"
  command -v curl >/dev/null || die "curl is missing"
  (umask 077 && mkdir -p "$base")
  [ -O "$base" ] || die "$base belongs to somebody else; set BUREAU_KUBERNETES_DIR to a folder of your own"
  exec 9>"$base/lock"
  flock 9
}

server() { # the pid of the API server, if it runs
  local pid
  pid=$(cat "$base/pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "-dir $data" || return 1
  echo "$pid"
}

ready() {
  local config=$data/admin.kubeconfig
  [ -f "$config" ] || return 1
  curl -fsSk --max-time 5 -H "Authorization: Bearer $(sed -n 's/.*token: "\(.*\)".*/\1/p' "$config")" \
    "$(sed -n 's/.*server: "\([^"]*\)".*/\1/p' "$config")/readyz" >/dev/null 2>&1
}

build() {
  local digest
  digest=$(cat "$source"/*.go "$source"/go.mod "$source"/go.sum | sha256sum | cut -c1-12)
  binary=$base/apiserver-$digest
  [ ! -x "$binary" ] || return 0
  echo "kubernetes.sh: building the API server" >&2
  go -C "$source" build -trimpath -ldflags '-s -w' -o "$binary.new" . >&2
  rm -f "$base"/apiserver-????????????
  mv "$binary.new" "$binary"
}

up() {
  build
  if server >/dev/null && ready; then
    echo "$data"
    return
  fi
  down
  mkdir -p "$data"
  nohup "$binary" -dir "$data" >"$base/log" 2>&1 9>&- &
  echo $! >"$base/pid"
  for _ in $(seq 240); do
    ready && break
    server >/dev/null || die "it has ended: $(tail -n 5 "$base/log")"
    sleep 0.25
  done
  ready || die "it is not ready after a minute: $(tail -n 5 "$base/log")"
  echo "$data"
}

down() {
  local pid
  if pid=$(server); then
    kill "$pid"
    for _ in $(seq 100); do
      server >/dev/null || break
      sleep 0.1
    done
    ! server >/dev/null || kill -9 "$pid"
  fi
  rm -rf "$data" "$base/pid"
}

case "${1:-}" in
  up) prepare && up ;;
  down) prepare && down ;;
  status) prepare && server >/dev/null && ready && echo "$data" || exit 3 ;;
  *) die "usage: scripts/kubernetes.sh up|down|status" ;;
esac
