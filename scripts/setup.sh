#!/usr/bin/env bash
# Prepares the machine for `make run` or `make test`: system packages through apt when root, then a venv.
# Usage: setup.sh run|test PYTHON VENV. What cannot be had is named in one line and skipped; the venv itself must work.
set -euo pipefail
for_what=$1 python=$2 venv=$3

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# pyscard has no Linux wheel: it is built here, which takes a compiler and two sets of headers.
packages="gcc libc6-dev python3-dev libpcsclite-dev"
"$python" -c 'import venv, ensurepip' 2>/dev/null || packages="python3-venv $packages"
if [ "$for_what" = test ]; then
    # pcscd and vsmartcard-vpcd: real card readers without hardware; avahi-daemon, iproute2: discovery over two networks;
    # chromium, fonts-noto-cjk: the console in a real browser.
    # ffmpeg, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,bad}, python3-gi: a real RTSP server for cameras.
    packages="$packages pcscd vsmartcard-vpcd avahi-daemon iproute2 chromium fonts-noto-cjk"
    packages="$packages ffmpeg gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    packages="$packages gstreamer1.0-plugins-bad python3-gi"
fi

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    missing=""
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        if [ "$(id -u)" = 0 ]; then
            say "apt-get install$missing"
            export DEBIAN_FRONTEND=noninteractive
            # shellcheck disable=SC2086
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
                say "apt could not install all of these; what needs them is skipped:$missing"
        else
            say "not root, so these system packages are not installed and what needs them is skipped:$missing"
        fi
    fi
else
    say "no apt on this machine; if something below is skipped, install the equivalents of: $packages"
fi

if [ ! -x "$venv/bin/python" ]; then
    say "$venv: a new virtual environment"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --upgrade pip
fi

extras=demo
# Everything that installs from wheels; what has to be built or is large follows by itself.
[ "$for_what" = test ] && extras=demo,test,names,holidays,uhppote,osdp,idreader,visitors,registration,postgres
say "installing menwei[$extras] into $venv"
"$venv/bin/python" -m pip install --quiet --editable ".[$extras]"

if ! "$venv/bin/python" -c 'import smartcard' 2>/dev/null; then
    log=$(mktemp)
    if "$venv/bin/python" -m pip install --quiet 'pyscard>=2.2' >"$log" 2>&1; then
        rm -f "$log"
    else
        say "pyscard could not be built (it needs gcc, python3-dev and libpcsclite-dev): PC/SC readers are left out. See $log"
    fi
fi

# Faces and cameras are large: pip's own lines show how far it is. Without them everything else works.
if ! "$venv/bin/python" -c 'import cv2, deepface, dlib' 2>/dev/null; then
    log=$(mktemp)
    say "faces and cameras: about 600 MB, once"
    if "$venv/bin/python" -m pip install --editable '.[face,camera,qr]' 2>"$log" |
        { grep --line-buffered -E '^ *(Collecting|Downloading|Installing)' >&2 || true; }; then
        rm -f "$log"
    else
        say "the extras face and camera could not be installed: what needs them is left out. See $log"
    fi
fi

# make compares this stamp with setup.cfg; what is enough for the tests is enough to run.
touch "$venv/.for-run"
[ "$for_what" = test ] && touch "$venv/.for-test"
exit 0
