#!/usr/bin/env bash
# Measures all that is told of a GPU: training steps; stages of a picture and memory, into a file of
# measured/ and the tables of MODEL_ZOO.md; and a video from reading to writing. Takes about half an
# hour, most of it compilation.
#
#   benchmarks/gpu.sh NAME "An H100 with four cores of a Xeon" [PYTHON]
set -euo pipefail
name=${1:?name of a new file of benchmarks/measured} machine=${2:?the machine in words}
python=${3:-python}
cd "$(dirname "$0")/.."
file=benchmarks/measured/$name.json
export PYTHONPATH=$PWD

"$python" -m pytest -q -n0 projects_tests/test_gpu.py
stages=(benchmarks/bench_model.py --device cuda --precision fp32 fp16 --compile no yes --batch 1 8
  --repeats 20 --save "$file" --machine "$machine")
"$python" "${stages[@]}" --config densepose_rcnn_R_50_FPN_s1x --short 800 240
"$python" "${stages[@]}" --config densepose_rcnn_EffLite0_FPN_synth
"$python" benchmarks/bench_operations.py --device cuda
"$python" benchmarks/bench_training.py --device cuda --precision fp32 fp16 bf16 --images 16 --workers 4
"$python" benchmarks/bench_memory.py train predict --device cuda --save "$file"
"$python" benchmarks/tables.py

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"$python" - "$folder/film.mp4" <<'END'
"""A film of ten seconds: people who pass by."""
import sys

import cv2
import numpy as np

from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from densepose_ext.video import VideoWriter

still = cv2.resize(make_example(Settings(size=512), "val", 7).image[:, :, ::-1], (640, 480))
with VideoWriter(sys.argv[1]) as film:
    for frame in range(300):
        film.write(np.roll(still, 2 * frame, axis=1))
END
for options in "" "--precision fp16" "--precision fp16 --compile"; do
  echo "video $options"
  # shellcheck disable=SC2086
  "$python" -m densepose_ext video "$folder/film.mp4" --out "$folder/drawn.mp4" $options
done
