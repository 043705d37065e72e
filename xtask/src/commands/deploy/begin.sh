# Takes the lock, removes what a broken deploy left, and makes a folder for what arrives. The lock is the
# session's: it is free again when the session ends, in whatever way.

free() {
  dir=$1
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  df -Pk "$dir" | sed -n '2s/^.* \([0-9]*\)  *[0-9]*%.*$/\1/p'
}

main() {
  umask 022
  mkdir -p "$prefix/releases" "$prefix/bin" 2>/dev/null || fail "cannot create $prefix; choose another place with --prefix"
  [ -w "$prefix" ] || fail "$prefix is not ours to write; choose another place with --prefix"
  exec 9>>"$prefix/deploy.lock"
  flock -n 9 ||
    fail "another deploy to this device is under way (process $(cat "$prefix/deploy.pid" 2>/dev/null) there); wait, or end that process if its connection is dead"
  echo $$ >"$prefix/deploy.pid"
  rm -rf "$prefix"/incoming.* "$prefix"/*.new "$prefix"/bin/*.new "$config/key.new" "$config/options.new"
  incoming=$prefix/incoming.$$
  mkdir -m 700 "$incoming" || fail "cannot create $incoming"
  trap 'rm -rf "$incoming"' EXIT
  if [ -n "${SUDO_UID:-}" ]; then chown "$SUDO_UID" "$incoming"; fi
  say incoming "$incoming"
  if [ -x "$prefix/current/edge" ]; then say current "$(basename "$(readlink "$prefix/current")")"; fi
  say options "$(sed -n 's/^GRAFT_OPTIONS=//p' "$config/options" 2>/dev/null | tail -n 1 | tr -d '"')"
  if [ -s "$config/key" ]; then say key yes; fi
  if [ -e "$state/flash.bin" ]; then say state yes; fi
  say free_kib "$(free "$prefix")"
  say state_free_kib "$(free "$state")"
}
