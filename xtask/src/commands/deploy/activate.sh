# Makes what has arrived the version that runs, or leaves the one that ran. Once begun, it ends by itself,
# whether anyone still listens or not.

sum() { sha256sum <"$1" | cut -c 1-64; }
last() { printf '%s\n' "$1" | sed '/^ *$/d' | tail -n 1; }
trunk_of() { printf '%s\n' "$1" | sed -n 's/^trunk  *//p'; }

# Runs a command as the program's own user, if it has one. Nothing that may last inherits the lock.
as() {
  if [ -n "$user" ]; then su -s /bin/sh "$user" -c "$1" 9>&-; else sh -c "$1" 9>&-; fi
}

# Writes $3 to the file $2 with the mode $1, whole or not at all.
put() {
  mkdir -p "$(dirname "$2")" && printf '%s' "$3" >"$2.new" && chmod "$1" "$2.new" && mv -f "$2.new" "$2" ||
    fail "cannot write $2"
}

# Lets the link $1 name the release $2. By a rename where mv can do it.
link() {
  ln -sfn "releases/$2" "$prefix/$1.new"
  mv -fT "$prefix/$1.new" "$prefix/$1" 2>/dev/null ||
    { ln -sfn "releases/$2" "$prefix/$1" && rm -f "$prefix/$1.new"; }
}

# What the program said last since $1: its own error rather than what systemd says of how it ended.
why() {
  said=$(control log "$1" 2>/dev/null)
  error=$(printf '%s\n' "$said" | grep '^error: ')
  last "${error:-$said}"
}

control() { sh "$prefix/bin/graft-edge" "$@" </dev/null 9>&-; }

# The system's user that owns state and key and nothing else.
account() {
  id "$user" >/dev/null 2>&1 && return
  useradd --system --home-dir "$home" --shell /usr/sbin/nologin "$user" >/dev/null 2>&1 ||
    { addgroup -S "$user" && adduser -S -D -H -h "$home" -s /sbin/nologin -G "$user" "$user"; } >/dev/null 2>&1 ||
    fail "cannot create the user $user"
}

# systemctl of the system, or of the login.
systemd() {
  if [ "$service" = systemd ]; then systemctl "$@" 9>&-; else systemctl --user "$@" 9>&-; fi
}

install_service() {
  case $service in
  systemd) put 644 /etc/systemd/system/graft-edge.service "$unit" ;;
  systemd-user)
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
    export XDG_RUNTIME_DIR
    put 644 "${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/graft-edge.service" "$unit"
    # Without it the service ends with the login's last session, and does not start with the device.
    loginctl enable-linger >/dev/null 2>&1 ||
      say warning "the service runs only while $(id -un) is logged in; as root: loginctl enable-linger $(id -un)"
    ;;
  *) return ;;
  esac
  { systemd daemon-reload && systemd enable graft-edge; } >/dev/null 2>&1 || {
    old_options
    fail "systemctl refuses the service"
  }
}

old_options() {
  if [ -n "$options_line" ]; then
    mv -f "$config/options.before" "$config/options" 2>/dev/null || rm -f "$config/options"
  fi
}

# Waits until the program answers, with the trunk $1 or any.
up() {
  end=$(($(date +%s) + wait_seconds))
  while :; do
    if control status >/dev/null 2>&1 && seen=$(as "$limit $prefix/current/edge info --connect $connect" 2>&1) &&
      { [ -z "$1" ] || [ "$(trunk_of "$seen")" = "$1" ]; }; then
      return 0
    fi
    [ "$(date +%s)" -lt $end ] || return 1
    sleep 1
  done
}

main() {
  trap '' HUP PIPE
  cd /
  limit=
  if timeout 5 true 2>/dev/null 9>&-; then limit="timeout 10"; fi
  umask 022
  say step "checking what has arrived"
  [ "$(sum "$incoming/edge")" = "$program_sha256" ] && [ "$(sum "$incoming/model.edge")" = "$model_sha256" ] ||
    fail "what has arrived is not what was sent; deploy again"
  if [ -n "$user" ]; then
    account
    chown -R 0:0 "$incoming"
  fi
  chmod 755 "$incoming" "$incoming/edge" && chmod 644 "$incoming"/model.edge*

  say step "trying the new program"
  out=$(as "$incoming/edge --version" 2>&1) || fail "the new program does not run there: $(last "$out")"
  mkdir "$incoming/try"
  if [ -n "$user" ]; then chown "$user" "$incoming/try"; fi
  out=$(as "$incoming/edge info --model $incoming/model.edge --state $incoming/try/state --samples-mib 1" 2>&1) ||
    fail "the new program does not take the model: $(last "$out")"
  [ "$(trunk_of "$out")" = "$trunk_sha256" ] || fail "the new program reads another model than was sent"
  rm -rf "$incoming/try"

  if [ ! -e "$state/flash.bin" ]; then
    mkdir -p "$(dirname "$state")"
    if [ -n "$user" ]; then chown "$user:$user" "$home" && chmod 750 "$home"; fi
    out=$(as "$incoming/edge info --model $incoming/model.edge --state $state --samples-mib $samples_mib" 2>&1) ||
      fail "cannot make the state: $(last "$out")"
  fi
  if [ "$make_key" = yes ] && [ ! -s "$config/key" ]; then
    mkdir -p "$config"
    (umask 077 && dd if=/dev/urandom of="$config/key.new" bs=32 count=1 2>/dev/null) || fail "cannot write $config/key"
    if [ -n "$user" ]; then chown "0:$user" "$config/key.new" && chmod 640 "$config/key.new"; fi
    mv -f "$config/key.new" "$config/key"
    say key_made yes
  fi

  say step "switching to the new version"
  release=$prefix/releases/$id
  if [ -d "$release" ] && { [ "$(sum "$release/edge")" != "$program_sha256" ] || [ "$(sum "$release/model.edge")" != "$model_sha256" ]; }; then
    mv "$release" "$prefix/incoming.damaged"
  fi
  [ -d "$release" ] || mv "$incoming" "$release" || fail "cannot create $release"
  old=
  if [ -x "$prefix/current/edge" ]; then old=$(basename "$(readlink "$prefix/current")"); fi
  # All that can fail comes before the old version is stopped, by the script that started it.
  before=$prefix/bin/graft-edge.before
  cp "$prefix/bin/graft-edge" "$before" 2>/dev/null || rm -f "$before"
  if [ -n "$options_line" ]; then
    mkdir -p "$config"
    cp "$config/options" "$config/options.before" 2>/dev/null || rm -f "$config/options.before"
    put 644 "$config/options" "$options_line"
  fi
  put 755 "$prefix/bin/graft-edge" "$control_script"
  install_service
  sync
  if [ -f "$before" ]; then sh "$before" stop </dev/null >/dev/null 2>&1 9>&-; fi
  link current "$id"
  sync
  begun=$(date +%s)
  control restart >/dev/null 2>&1

  say step "waiting for its answer"
  if [ "$(readlink "$prefix/current")" = "releases/$id" ] && up "$trunk_sha256"; then
    if [ -n "$old" ] && [ "$old" != "$id" ]; then link previous "$old"; fi
    kept=$(basename "$(readlink "$prefix/previous" || :)")
    for other in "$prefix"/releases/*; do
      case ${other##*/} in "$id" | "$kept") ;; *) rm -rf "$other" ;; esac
    done
    rm -rf "$prefix/incoming.damaged" "$config/options.before" "$before"
    say started yes
    return
  fi
  say why "$(why "$begun")"
  control stop >/dev/null 2>&1
  old_options
  rm -f "$before"
  if [ -z "$old" ]; then
    # There was nothing before, and nothing is to start with the device.
    case $service in systemd*) systemd disable graft-edge >/dev/null 2>&1 ;; esac
    rm -rf "$prefix/current" "$release"
    return
  fi
  say step "going back to the version before"
  link current "$old"
  sync
  control restart >/dev/null 2>&1
  case $(readlink "$prefix/current") in "releases/$id") ;; *) rm -rf "$release" ;; esac
  connect=$connect_before
  if up ""; then say rolled_back yes; else say rolled_back silent; fi
}
