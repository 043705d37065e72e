# Starts and stops the device program that `cargo xtask deploy` has installed: docs/guide/deploy.md.
# deploy writes the values of the variables above: prefix, state, user, service, options.

pid_file=$prefix/edge.pid
log=$prefix/edge.log
model=$prefix/current/model.edge

# systemctl for the service of the system or of this login.
control() {
  if [ "$service" = systemd-user ]; then
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
    export XDG_RUNTIME_DIR
    systemctl --user "$1" graft-edge
  else
    systemctl "$1" graft-edge
  fi
}

# True if the process in the pid file runs and belongs to this installation. After a restart of the device another
# program may have its number.
running() {
  [ -r "$pid_file" ] && pid=$(cat "$pid_file") && [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] &&
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "serve --model $model"
}

short_sleep() { sleep 0.1 2>/dev/null || sleep 1; }

start() {
  running && return
  if [ -f "$log" ]; then mv -f "$log" "$log.before"; fi
  # It goes on after the login that starts it.
  (trap '' HUP && exec sh "$prefix/bin/graft-edge" run) </dev/null >"$log" 2>&1 &
  echo $! >"$pid_file"
}

stop() {
  running || return 0
  kill "$pid"
  tries=0
  while running; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ]; then kill -9 "$pid"; fi
    short_sleep
  done
  rm -f "$pid_file"
}

# $1: name of a link, $2: what it is to name. By a rename where mv can do it.
link() {
  ln -sfn "$2" "$prefix/$1.new"
  mv -fT "$prefix/$1.new" "$prefix/$1" 2>/dev/null || { ln -sfn "$2" "$prefix/$1" && rm -f "$prefix/$1.new"; }
}

case ${1:-} in
run)
  words=$(sed -n 's/^GRAFT_OPTIONS=//p' "$options" 2>/dev/null | tail -n 1 | tr -d '"')
  serve="$prefix/current/edge serve --model $model --state $state $words"
  umask 077
  cd /
  if [ -n "$user" ]; then exec su -s /bin/sh "$user" -c "set -f; exec $serve"; fi
  set -f
  exec $serve
  ;;
start | stop | restart)
  case $service in
  systemd*) control "$1" ;;
  *)
    if [ "$1" != start ]; then stop; fi
    if [ "$1" != stop ]; then start; fi
    ;;
  esac
  ;;
status)
  case $service in
  systemd*) control is-active ;;
  *)
    if running; then echo "running, process $pid"; else
      echo stopped
      exit 3
    fi
    ;;
  esac
  ;;
log)
  # deploy asks for the lines since a time, in seconds since 1970. A log file of this script begins at each start.
  case $service in
  systemd) journalctl --quiet --no-pager --output=cat --unit=graft-edge ${2:+"--since=@$2"} ;;
  systemd-user) journalctl --quiet --no-pager --output=cat --user-unit=graft-edge ${2:+"--since=@$2"} ;;
  *) cat "$log" ;;
  esac
  ;;
rollback)
  now=$(readlink "$prefix/current") && before=$(readlink "$prefix/previous") && [ -x "$prefix/$before/edge" ] || {
    echo "error: there is no release before this one" >&2
    exit 1
  }
  link current "$before"
  link previous "$now"
  sh "$prefix/bin/graft-edge" restart
  echo "now $before"
  ;;
*)
  echo "usage: graft-edge start|stop|restart|status|log|rollback|run" >&2
  exit 2
  ;;
esac
