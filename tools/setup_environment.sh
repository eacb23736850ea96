#!/usr/bin/env bash
# Makes a virtual environment with Detectron2 and densepose_ext from the package index alone.
#   tools/setup_environment.sh DIR        `make setup` calls it with .venv
# Needs Python 3.10 to 3.14 with venv (PYTHON_BASE names one), and no compiler. A second call does
# nothing while setup.py, constraints.txt and this file stay the same.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: tools/setup_environment.sh DIR}

# Detectron2's main branch has no package of its own name on the index. This wheel holds it; its
# tag says CPython 3.10, but it is used as pure Python (the compiled extras fall back by themselves).
DETECTRON2=sal-detectron2==0.7.2
DETECTRON2_WHEEL=sal_detectron2-0.7.2-cp310-none-any.whl
DETECTRON2_SHA256=491af0c7f79bdb2d178e46f6cb16a97c4ac968d45c41ea3f6b6435d59bbee561
# What Detectron2 itself imports. Its wheel is installed without dependencies, because its metadata
# asks for an older numpy than it works with.
DETECTRON2_NEEDS="torch torchvision setuptools<81 wheel numpy pillow opencv-python-headless pycocotools
  fvcore iopath omegaconf hydra-core matplotlib termcolor yacs tabulate cloudpickle tqdm tensorboard
  packaging black scipy"

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

fingerprint=$(cat setup.py constraints.txt tools/setup_environment.sh | sha256sum | cut -d' ' -f1)
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
pip="$venv/bin/python -m pip --disable-pip-version-check"
# DETECTRON2_NEEDS is split into words on purpose.
# shellcheck disable=SC2086
$pip install -q -c constraints.txt $DETECTRON2_NEEDS

if ! "$venv/bin/python" -c 'import detectron2' 2>/dev/null; then
  echo "setup: fetching Detectron2 ($DETECTRON2)"
  download=$(mktemp -d); trap 'rm -rf "$download"' EXIT
  $pip download -q --no-deps --only-binary=:all: --python-version 3.10 --implementation cp \
    --platform any --platform linux_x86_64 -d "$download" "$DETECTRON2"
  "$venv/bin/python" - "$download/$DETECTRON2_WHEEL" "$DETECTRON2_SHA256" <<'PY'
import hashlib, pathlib, sys
path, expected = pathlib.Path(sys.argv[1]), sys.argv[2]
found = hashlib.sha256(path.read_bytes()).hexdigest()
if found != expected:
    sys.exit(f"setup: {path.name} has sha256 {found}, expected {expected}: not installed")
PY
  mv "$download/$DETECTRON2_WHEEL" "$download/${DETECTRON2_WHEEL/cp310-none/py3-none}"
  $pip install -q --no-deps "$download/${DETECTRON2_WHEEL/cp310-none/py3-none}"
fi

$pip install -q -c constraints.txt -e '.[quickstart,video,web,dev,docs,export]'
"$venv/bin/python" -W ignore -c 'import densepose_ext, detectron2, torch
print(f"setup: densepose_ext {densepose_ext.__version__}, Detectron2 {detectron2.__version__}, torch {torch.__version__}")'
echo "$fingerprint" > "$stamp"
echo "setup: done. Use $venv/bin/python, or: source $venv/bin/activate"
