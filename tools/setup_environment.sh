#!/usr/bin/env bash
# Makes a virtual environment with Detectron2 and densepose_ext from the package index alone.
#   tools/setup_environment.sh DIR        `make setup` calls it with .venv
# Needs Python 3.10 to 3.14 with venv (PYTHON_BASE names one), and no compiler. A second call does
# nothing unless setup.py, constraints.txt, this file or the setup of Detectron2 has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: tools/setup_environment.sh DIR}

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

fingerprint=$(cat setup.py constraints.txt tools/setup_environment.sh \
  densepose_ext/processes/detectron2_setup.py | sha256sum | cut -d' ' -f1)
stamp="$venv/.densepose_ext_setup"
if [ -x "$venv/bin/python" ] && [ -x "$venv/bin/densepose-ext" ] \
  && [ "$(cat "$stamp" 2>/dev/null)" = "$fingerprint" ]; then
  echo "setup: $venv is up to date, nothing to do"
  exit 0
fi

python=""
candidates=${PYTHON_BASE:-python3.11 python3.12 python3.13 python3.14 python3.10 python3 python}
for candidate in $candidates; do
  if supported "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
  echo "setup: found no Python 3.10 to 3.14 (tried: $candidates)." >&2
  echo "       Install one (Debian, Ubuntu: apt install python3 python3-venv), or name one:" >&2
  echo "       make setup PYTHON_BASE=/path/to/python3" >&2
  exit 1
fi

if [ ! -x "$venv/bin/python" ]; then
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "setup: $python cannot make virtual environments: it lacks venv or ensurepip." >&2
    echo "       Debian, Ubuntu: apt install python3-venv" >&2
    exit 1
  fi
  "$python" -m venv "$venv"
elif ! supported "$venv/bin/python"; then
  echo "setup: $venv has $("$venv/bin/python" --version), expected 3.10 to 3.14: remove $venv first." >&2
  exit 1
fi
echo "setup: installing into $venv, $("$venv/bin/python" --version)" \
  "(the first time this downloads about 3 GB of torch)"
"$venv/bin/python" -m pip --disable-pip-version-check install -q -c constraints.txt \
  -e '.[quickstart,video,web,dev,docs,export]'
"$venv/bin/densepose-ext" setup-detectron2 --constraints constraints.txt
"$venv/bin/python" -W ignore -c 'import densepose_ext, detectron2, torch
print(f"setup: densepose_ext {densepose_ext.__version__}, Detectron2 {detectron2.__version__}, torch {torch.__version__}")'
echo "$fingerprint" > "$stamp"
echo "setup: done. Use $venv/bin/python, or: source $venv/bin/activate"
