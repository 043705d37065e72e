# shellcheck shell=bash disable=SC2034
# What the stages share. Each begins with `. "$(dirname "$0")/../lib.sh"` and can be run alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Pictures, weights and recipes for peers, beside the checkout. Only some stages need it.
shared=${GRAFT_SHARED:-../shared}

# The folder in which a stage leaves results for later ones. `.ci/run` makes it; a stage that runs alone makes its own.
if [ -z "${GRAFT_WORK:-}" ]; then
  GRAFT_WORK=$(mktemp -d)
  trap 'rm -rf "$GRAFT_WORK"' EXIT
fi
mkdir -p "$GRAFT_WORK"
GRAFT_WORK=$(realpath "$GRAFT_WORK")
export GRAFT_WORK

# Says that a check is left out, and why. In CI that is a failure, unless GRAFT_ALLOW_SKIP=1.
skipped() {
  echo "skipped: $*"
  echo "$(basename "$0"): $*" >>"$GRAFT_WORK/skipped"
  if [ "${CI:-}" = true ] && [ "${GRAFT_ALLOW_SKIP:-}" != 1 ]; then exit 1; fi
}

# True where Debian packages can be installed without asking.
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Installs Debian packages.
packages() { apt-get update -qq && apt-get install -y -qq "$@" >/dev/null; }

# Runs a program that exits with 77 where its tools are missing: says `skipped` then, and is false.
# Every other failure ends the stage.
runs() {
  local code=0
  "$@" || code=$?
  if [ "$code" = 77 ]; then
    skipped "the tools for $1 are missing"
    return 1
  fi
  if [ "$code" != 0 ]; then exit "$code"; fi
}

# True if there is a compiler for a target: rustup's, or Debian's, which builds `core` itself.
compiles_for() {
  rustc --print target-libdir --target "$1" 2>/dev/null | xargs -r test -d || [ -e /usr/bin/cargo ]
}

# QEMU's microcontrollers and Debian's compiler for them.
install_qemu_arm() {
  if can_install && ! command -v qemu-system-arm >/dev/null; then
    packages qemu-system-arm rustc-web cargo-web rust-web-src lld
  fi
}

# Converts EfficientNet-Lite0, if no stage has yet, and sets `efficientnet` to the file.
convert_efficientnet() {
  efficientnet=$GRAFT_WORK/efficientnet-lite0-int8.edge
  if [ ! -e "$efficientnet" ]; then cargo xtask convert efficientnet-lite0 --int8 -o "$efficientnet"; fi
}
