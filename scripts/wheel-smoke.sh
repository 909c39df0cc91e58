#!/usr/bin/env bash
# Builds sdist and wheel, installs the wheel alone into an empty venv, and sees that the program in it works.
set -euo pipefail
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m build --quiet --outdir "$work/dist" .
"$python" -m venv "$work/venv"
# --only-binary: a core with cards alone must install without a compiler.
"$work/venv/bin/python" -m pip install --quiet --only-binary :all: "$work"/dist/*.whl
cd "$work" # away from the checkout: only what is in the wheel counts
venv/bin/menwei --version
venv/bin/menwei plugins --json
mkdir site && venv/bin/menwei new policy quiet --folder site
venv/bin/menwei demo --once --json
echo "wheel: ok"
