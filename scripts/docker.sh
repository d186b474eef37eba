#!/usr/bin/env bash
# A Docker engine of its own for tests: no systemd, its own folder and socket, nothing left behind.
#
#   scripts/docker.sh up       start it (the first time: install it) and print its DOCKER_HOST; a running one is left alone
#   scripts/docker.sh down     stop it with all of its containers, delete its images and volumes, take back its changes to the network
#   scripts/docker.sh status   print its DOCKER_HOST, or exit with 3 when it does not run
#
# Where: BUREAU_DOCKER_DIR; by default /var/tmp/bureau-docker. It needs root: an engine does. Docker comes from the packages of this
# machine's Debian (docker.io) unless dockerd is there already.
set -euo pipefail

base=${BUREAU_DOCKER_DIR:-/var/tmp/bureau-docker}
socket=$base/docker.sock
host=unix://$socket

die() {
  printf 'docker.sh: %s\n' "$*" >&2
  exit 1
}

# prepare makes the folder, refuses one that somebody else made, and takes the lock that lets one script work at a time.
prepare() {
  [ "$(id -u)" = 0 ] || die "an engine needs root. Start Docker in another way and set BUREAU_TEST_DOCKER_HOST to where it listens"
  command -v flock >/dev/null || die "flock is missing (Debian: util-linux)"
  (umask 077 && mkdir -p "$base")
  [ -O "$base" ] || die "$base belongs to somebody else; set BUREAU_DOCKER_DIR to a folder of your own"
  exec 9>"$base/lock"
  flock 9
}

command_line() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null || true; }

engine() { # the pid of the engine, if it runs
  local pid
  pid=$(cat "$base/docker.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && command_line "$pid" | grep -qF -- "$base/root" || return 1
  echo "$pid"
}

answers() { curl -fsS --max-time 5 --unix-socket "$socket" http://engine/_ping >/dev/null 2>&1; }

install() {
  local missing=()
  command -v dockerd >/dev/null && command -v docker-init >/dev/null || missing+=(docker.io tini)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v curl >/dev/null || missing+=(curl)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    die "this installs Docker by apt. Elsewhere, start an engine in another way and set BUREAU_TEST_DOCKER_HOST to where it listens"
  echo "docker.sh: installing ${missing[*]}" >&2
  # Its package would start the engine of the machine where there is something to start it with.
  local policy=/usr/sbin/policy-rc.d ours=no
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    ours=yes
  fi
  local ok=yes
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$base/apt.log" 2>&1 || ok=no
  if [ $ours = yes ]; then rm -f $policy; fi
  [ $ok = yes ] || {
    tail -n 20 "$base/apt.log" >&2
    die "the packages cannot be installed"
  }
}

# shared are the directories that every engine has, whatever it is told.
shared=(/etc/docker /run/docker /run/containerd)

# remember keeps what the engine changes of the machine's network, to take it back.
remember() {
  mkdir -p "$base/before"
  cat /proc/sys/net/ipv4/ip_forward >"$base/before/forward"
  iptables-save >"$base/before/iptables" 2>/dev/null || : >"$base/before/iptables"
  ip6tables-save >"$base/before/ip6tables" 2>/dev/null || : >"$base/before/ip6tables"
  interfaces >"$base/before/interfaces"
  sysctls >"$base/before/sysctls"
  local dir
  for dir in "${shared[@]}"; do
    if [ -e "$dir" ]; then echo "$dir"; fi
  done >"$base/before/directories"
}

interfaces() { (cd /sys/class/net && for i in *; do [ -e "$i" ] && echo "$i"; done) | sort; }

# sysctls lists the switches of bridges, which are there once their module is.
sysctls() {
  local f
  for f in /proc/sys/net/bridge/bridge-nf-call-iptables /proc/sys/net/bridge/bridge-nf-call-ip6tables; do
    if [ -r $f ]; then echo "$f $(cat $f)"; fi
  done
}

# restore takes the changes back. Rules that somebody else has made meanwhile stay: only the engine's chains, and rules that name them or
# its bridges, are deleted.
restore() {
  [ -d "$base/before" ] || return 0
  local i table v tool
  for i in $(interfaces | comm -13 "$base/before/interfaces" -); do
    case $i in docker0 | br-*) delete_interface "$i" ;; esac
  done
  for tool in iptables ip6tables; do
    command -v $tool >/dev/null || continue
    for table in filter nat mangle raw; do
      grep -q DOCKER "$base/before/$tool" && break # another engine lives here, whose chains have the same names
      clean $tool $table
    done
  done
  if ! grep -q DOCKER "$base/before/iptables"; then
    case $(sed -n '/^\*filter/,/^COMMIT/s/^:FORWARD \([A-Z]*\).*/\1/p' "$base/before/iptables") in
    DROP) ;;
    *) iptables -P FORWARD ACCEPT 2>/dev/null || true ;;
    esac
    cat "$base/before/forward" >/proc/sys/net/ipv4/ip_forward 2>/dev/null || true
  fi
  while read -r i v; do
    echo "$v" >"$i" 2>/dev/null || true
  done <"$base/before/sysctls"
  local dir
  if ! others; then
    for dir in "${shared[@]}"; do
      grep -qxF "$dir" "$base/before/directories" || rm -rf "$dir"
    done
  fi
  rm -rf "$base/before"
}

# others reports whether another engine runs on this machine.
others() {
  local p
  for p in /proc/[0-9]*; do
    if command_line "${p#/proc/}" | grep -qE '^[^ ]*(dockerd|containerd)( |$)'; then return 0; fi
  done
  return 1
}

delete_interface() {
  if command -v ip >/dev/null; then
    ip link delete "$1" 2>/dev/null || true
  else
    python3 - "$1" <<'PY' 2>/dev/null || true
import fcntl, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
name = sys.argv[1].encode()
fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", name, 0, b""))  # SIOCSIFFLAGS: down
fcntl.ioctl(s, 0x89A1, name + b"\0")  # SIOCBRDELBR
PY
  fi
}

clean() { # $1: the tool, $2: the table
  local rule chain
  { "$1-save" -t "$2" 2>/dev/null || true; } | sed -n 's/^-A //p' | { grep -E 'DOCKER|docker0|br-[0-9a-f]{12}' || true; } | while read -r rule; do
    eval "$1 -t $2 -D $rule" 2>/dev/null || true
  done
  { "$1-save" -t "$2" 2>/dev/null || true; } | sed -n 's/^:\(DOCKER[A-Z0-9-]*\) .*/\1/p' | while read -r chain; do
    "$1" -t "$2" -F "$chain" 2>/dev/null || true
  done
  { "$1-save" -t "$2" 2>/dev/null || true; } | sed -n 's/^:\(DOCKER[A-Z0-9-]*\) .*/\1/p' | while read -r chain; do
    "$1" -t "$2" -X "$chain" 2>/dev/null || true
  done
}

start() {
  install
  stop # what a killed one has left
  remember
  rm -f "$base/docker.pid"
  mkdir -p "$base/root" "$base/exec"
  setsid dockerd --data-root "$base/root" --exec-root "$base/exec" -p "$base/docker.pid" -H "$host" \
    >"$base/log" 2>&1 </dev/null 9>&- &
  local pid=$! tick
  for tick in $(seq 300); do
    if answers; then return; fi
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$base/log" >&2 || true
  stop
  die "the engine does not start (after $tick tries); its log is above"
}

stop() {
  local pid tick
  if pid=$(engine); then
    kill "$pid" 2>/dev/null || true
    for tick in $(seq 300); do
      engine >/dev/null || break
      if [ "$tick" = 250 ]; then kill -KILL "$pid" 2>/dev/null || true; fi
      sleep 0.1
    done
  fi
  # What goes on without the engine: its containerd, and the supervisors of containers, which are named by its folder.
  local p round
  for round in KILL KILL; do
    for p in /proc/[0-9]*; do
      if command_line "${p#/proc/}" | grep -qE "^[^ ]*(containerd|containerd-shim[^ ]*|docker-proxy) .*$base/exec"; then
        kill -$round "${p#/proc/}" 2>/dev/null || true
      fi
    done
  done
  awk -v d="$base/" 'index($2, d) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r p; do
    umount -l "$p" 2>/dev/null || true
  done
  restore
  rm -rf "$base/root" "$base/exec" "$socket" "$base/docker.pid"
}

case ${1:-} in
up)
  prepare
  if ! engine >/dev/null || ! answers; then start; fi
  echo "$host"
  ;;
down)
  [ -d "$base" ] || exit 0
  prepare
  stop
  rm -rf "${base:?}/log" "$base/apt.log" "$base/lock"
  rmdir "$base" 2>/dev/null || true
  ;;
status)
  prepare
  if engine >/dev/null && answers; then
    echo "$host"
  else
    echo "not running" >&2
    exit 3
  fi
  ;;
*)
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
