#!/usr/bin/env bash
# A PostgreSQL with pgvector for development and tests, without root and without containers.
#
#   scripts/postgres.sh up [--durable]   start it (the first time: fetch it) and print its URL; a running one is left alone
#   scripts/postgres.sh down             stop it, keep the data
#   scripts/postgres.sh reset            stop it, drop the data, start it, print its URL
#   scripts/postgres.sh purge            stop it, remove the data and the downloaded packages
#   scripts/postgres.sh status           print its URL, or exit with 3 when it does not run
#   scripts/postgres.sh psql [ARG...]    open psql on it
#
# The server does not wait for the disk (fsync=off) unless it is started with --durable: fine for tests, not for data.
#
# How: Debian's packages are fetched by apt with a state of its own, from the mirrors that this machine uses already, and
# unpacked into a folder. The programs run under the C library that came with them, so the machine's own may be older.
# Where: BUREAU_POSTGRES_DIR; by default ${XDG_CACHE_HOME:-~/.cache}/bureau/postgres, and for root, whom PostgreSQL refuses to
# run as, /var/tmp/bureau-postgres, with the server run by the user postgres or nobody.
set -euo pipefail

release=trixie # the Debian release that has both packages
major=17

die() {
  printf 'postgres.sh: %s\n' "$*" >&2
  exit 1
}

needs() {
  local tool
  for tool in apt-get apt-config dpkg flock setpriv; do
    command -v "$tool" >/dev/null 2>&1 && continue
    die "this needs Debian's tools ($tool is missing). Start PostgreSQL $major with pgvector in another way, such as
  docker run -d -e POSTGRES_PASSWORD=bureau -p 127.0.0.1:5432:5432 pgvector/pgvector:pg$major
and set BUREAU_TEST_DATABASE_URL=postgres://postgres:bureau@127.0.0.1:5432/postgres"
  done
}

root_user=$([ "$(id -u)" = 0 ] && echo yes || echo no)
if [ "$root_user" = yes ]; then
  base=${BUREAU_POSTGRES_DIR:-/var/tmp/bureau-postgres}
else
  base=${BUREAU_POSTGRES_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bureau/postgres}
fi
pkgs=$base/packages
bin=$pkgs/usr/lib/postgresql/$major/bin
home=$base/server # what belongs to the user that runs the server
data=$home/data

# as_server runs a command as the user that owns the data.
as_server() {
  if [ "$root_user" = yes ]; then
    local user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    (cd / && exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --no-new-privs -- "$@")
  else
    "$@"
  fi
}

# prepare makes the folder, refuses one that somebody else made (the default for root is in a folder that all may write), and
# takes the lock that lets one script work at a time.
prepare() {
  needs
  (umask 022 && mkdir -p "$base")
  [ -O "$base" ] || die "$base belongs to somebody else; set BUREAU_POSTGRES_DIR to a folder of your own"
  exec 9>"$base/lock"
  flock 9
}

# mirrors prints the package sources of $release on the machine's own mirrors.
mirrors() {
  local uri suite seen=' ' keyring=/usr/share/keyrings/debian-archive-keyring.gpg option=''
  if [ -r "$keyring" ]; then option="[signed-by=$keyring] "; fi
  while IFS='|' read -r uri suite; do
    case $suite in
    *-backports* | *-proposed* | *-sloppy*) continue ;;
    *-security) suite=$release-security ;;
    *-updates) suite=$release-updates ;;
    */*) continue ;;
    *) suite=$release ;;
    esac
    case $seen in *" $uri$suite "*) continue ;; esac
    seen="$seen$uri$suite "
    printf 'deb %s%s %s main\n' "$option" "$uri" "$suite"
  done < <(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/|main$//p' | grep -i debian | sort -u)
}

# fetch downloads and unpacks the packages.
fetch() {
  [ -e "$pkgs/complete" ] && return
  echo "postgres.sh: fetching PostgreSQL $major and pgvector into $base" >&2
  local apt=$base/apt names
  rm -rf "$apt" "$pkgs"
  mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,debs} "$pkgs"
  mirrors >"$apt/sources.list"
  grep -q " $release " "$apt/sources.list" ||
    die "no Debian mirror among this machine's apt sources; set BUREAU_TEST_DATABASE_URL to a PostgreSQL with pgvector"
  : >"$apt/status"
  # Of the machine's settings only those for fetching hold here (proxies): its hooks would touch its own package cache.
  {
    apt-config dump | grep '^Acquire::' || true
    cat <<CONF
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Get::List-Cleanup "false";
CONF
  } >"$apt/apt.conf"
  export APT_CONFIG=$apt/apt.conf
  apt-get -qq update >&2 || die "apt-get update failed"
  # Only what the server links with: no Perl, no configuration tools, and not LLVM (100 MB, for jit, which is off).
  names=$(apt-get -qq -s install "postgresql-$major" "postgresql-$major-pgvector" |
    sed -n 's/^Inst \([^ ]*\).*/\1/p' |
    grep -E "^(postgresql-$major|postgresql-$major-pgvector|postgresql-client-$major|lib.*|gcc-.*-base)\$" |
    grep -vE '^(libllvm|libz3|libperl|libdb5|libgdbm)')
  [ -n "$names" ] || die "apt finds no postgresql-$major-pgvector"
  # shellcheck disable=SC2086 # one word per package
  (cd "$apt/debs" && apt-get -qq download $names >&2) || die "the download failed"
  local deb
  for deb in "$apt"/debs/*.deb; do
    dpkg -x "$deb" "$pkgs"
  done
  unset APT_CONFIG
  rm -rf "$apt" "$pkgs"/usr/share/{doc,man,locale,lintian} "$bin"/../lib/bitcode
  wrap
  chmod -R a+rX "$pkgs"
  : >"$pkgs/complete"
}

# wrap replaces each program by a script that starts it under its own dynamic linker. PostgreSQL finds its other files relative
# to argv[0].
wrap() {
  local loader libs='' dir program name
  loader=$(find -L "$pkgs/usr" "$pkgs/lib" "$pkgs/lib64" -maxdepth 3 -name 'ld-linux*.so.*' -print -quit 2>/dev/null || true)
  [ -n "$loader" ] || die "the packages have no dynamic linker"
  for dir in "$pkgs"/usr/lib/*-linux-gnu* "$pkgs"/lib/*-linux-gnu* "$pkgs/usr/lib"; do
    if [ -d "$dir" ]; then libs="$libs${libs:+:}$dir"; fi
  done
  for name in postgres initdb pg_ctl psql pg_dump; do
    program=$bin/$name
    mv "$program" "$program.elf"
    printf '#!/bin/sh\nexec "%s" --library-path "%s" --argv0 "%s" "%s" "$@"\n' \
      "$loader" "$libs" "$program" "$program.elf" >"$program"
    chmod 755 "$program"
  done
}

url() { printf 'postgres://bureau:%s@127.0.0.1:%s/postgres?sslmode=disable\n' "$(cat "$base/password")" "$(cat "$base/port")"; }

# answers reports whether something listens on a port.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

running() {
  [ -e "$base/port" ] && [ -e "$pkgs/complete" ] && as_server "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1 &&
    answers "$(cat "$base/port")"
}

free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000)) # below the range that the kernel gives to outgoing connections
    answers "$port" || {
      echo "$port"
      return
    }
  done
  die "no free port found"
}

configure() { # $1: off or on
  cat >"$base/bureau.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400
shared_buffers = 128MB
max_wal_size = 512MB
jit = off
timezone = 'GMT'
log_timezone = 'GMT'
log_min_messages = fatal
log_min_error_statement = panic
fsync = $1
full_page_writes = $1
synchronous_commit = $1
CONF
  chmod 644 "$base/bureau.conf"
}

start() {
  fetch
  if [ ! -e "$data/PG_VERSION" ]; then
    rm -rf "$home"
    mkdir -p "$home"
    if [ "$root_user" = yes ]; then as_owner "$home"; fi
    (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$base/password")
    # A copy of the password for the server's user, who cannot read the script's own; arguments are seen by everybody.
    as_server sh -c 'umask 077; cat >"$1"' sh "$home/password" <"$base/password"
    as_server "$bin/initdb" -D "$data" -U bureau -A scram-sha-256 --pwfile="$home/password" --encoding=UTF8 \
      --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --no-instructions --no-sync >/dev/null ||
      die "initdb failed"
    rm -f "$home/password"
    echo "include '$base/bureau.conf'" | as_server tee -a "$data/postgresql.conf" >/dev/null
  fi
  configure "$1"
  local attempt port
  port=$(cat "$base/port" 2>/dev/null || free_port)
  for attempt in 1 2 3 4 5; do
    if ! answers "$port" &&
      as_server "$bin/pg_ctl" -D "$data" -w -t 60 -s -l "$home/log" -o "-p $port" start 9>&- >/dev/null 2>&1; then
      echo "$port" >"$base/port"
      return
    fi
    port=$(free_port) # somebody else has taken it since
  done
  tail -n 20 "$home/log" >&2 || true
  die "the server does not start ($attempt attempts)"
}

# as_owner gives a folder to the user that runs the server.
as_owner() {
  local user=postgres
  id -u "$user" >/dev/null 2>&1 || user=nobody
  chown "$user:$(id -g "$user")" "$1"
}

stop() {
  if [ -e "$data/postmaster.pid" ]; then
    as_server "$bin/pg_ctl" -D "$data" -w -s -m fast stop >/dev/null 2>&1 || true
  fi
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
up)
  durable=off
  case ${1:-} in
  '') ;;
  --durable) durable=on ;;
  *) die "up knows --durable only" ;;
  esac
  prepare
  if ! running; then
    start $durable
  elif [ $durable = on ] && ! grep -q '^fsync = on' "$base/bureau.conf"; then
    configure on
    as_server "$bin/pg_ctl" -D "$data" -s reload
  fi
  url
  ;;
down)
  prepare
  stop
  ;;
reset)
  prepare
  durable=off
  grep -qs '^fsync = on' "$base/bureau.conf" && durable=on
  stop
  rm -rf "$home"
  start $durable
  url
  ;;
purge)
  prepare
  stop
  rm -rf "$home" "$pkgs" "$base/apt" "$base/port" "$base/password" "$base/bureau.conf" "$base/lock"
  rmdir "$base" 2>/dev/null || true
  ;;
status)
  prepare
  if running; then
    url
  else
    echo "not running" >&2
    exit 3
  fi
  ;;
psql)
  prepare
  running || start off
  exec 9>&-
  PGPASSWORD=$(cat "$base/password") exec "$bin/psql" -h 127.0.0.1 -p "$(cat "$base/port")" -U bureau -d postgres "$@"
  ;;
*)
  sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
