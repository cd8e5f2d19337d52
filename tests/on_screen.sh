#!/bin/sh
# Runs a command where windows can be opened: on the screen that is there, or on a virtual one (Debian and Ubuntu get what
# that needs if this user may install it). Where there is neither, the command runs all the same, and the tests that open
# a window say at the end that they did not run.
#
#     tests/on_screen.sh PYTHON COMMAND...
set -eu
python=$1
shift
packages="xvfb xauth libgl1 libegl1 libgl1-mesa-dri libopengl0 libglib2.0-0 libfontconfig1 libfreetype6 libdbus-1-3
 libx11-xcb1 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0
 libxcb-render-util0 libxcb-shape0 libxcb-sync1 libxcb-xfixes0 libxcb-xinerama0 libxcb-xkb1"
here=$(dirname "$0")

virtual() { xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" "$@"; }
works() { command -v xvfb-run >/dev/null && virtual "$python" "$here/can_show.py" >/dev/null 2>&1; }

install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else return 1; fi
    echo "Installing a virtual screen (apt-get install xvfb and what Qt needs) ..." >&2
    # shellcheck disable=SC2086
    $as_root apt-get update -qq >/dev/null 2>&1
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1
}

if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}" ]; then
    exec "$@"
fi
if works || { install && works; }; then
    exec xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" "$@"
fi
MEDSEG_NO_SCREEN="no screen, and no virtual one could be made. On Debian or Ubuntu:
  apt-get install $(echo $packages)"
export MEDSEG_NO_SCREEN
echo "There is $MEDSEG_NO_SCREEN" >&2
if "$python" -c "import qtpy.QtWidgets" 2>/dev/null; then
    exec "$@"
fi
# without Qt's libraries its pytest plugin would stop the whole run
PYTEST_ADDOPTS="-p no:pytest-qt ${PYTEST_ADDOPTS:-}"
export PYTEST_ADDOPTS
exec "$@"
