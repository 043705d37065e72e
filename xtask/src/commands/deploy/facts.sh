# What the device is. Changes nothing.

main() {
  say system "$(uname -s)"
  say machine "$(uname -m)"
  say uid "$(id -u)"
  say login "$(id -un)"
  say home "$HOME"
  if [ -d /run/systemd/system ]; then say systemd yes; fi
  XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
  export XDG_RUNTIME_DIR
  if systemctl --user show-environment >/dev/null 2>&1; then say systemd_user yes; fi
  if sudo -n true 2>/dev/null; then say sudo yes; fi
  for tool in flock sha256sum readlink; do
    command -v $tool >/dev/null || say lacks $tool
  done
}
