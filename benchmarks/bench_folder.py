"""Pictures and frames of 640 x 480 from file to file, beside the network alone, on the CPU.

    python benchmarks/bench_folder.py [--pictures 16] [--repeats 8]

The shipped model on a street of five people. "network alone" has the pictures in memory and drops
what it finds; the others read, predict, draw and write as the commands ``predict`` and ``video``
do, the model loaded. The second table has the processor time of the same, which bounds the first
where all cores are busy and, unlike it, depends little on other work of the machine; the third,
what each picture needs of one core besides the network. Bar: at most 1 / .9 = 1.11 of the network
alone.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench_model import street
from timing import measure, report

from densepose_ext import DensePosePredictor
from densepose_ext.files.picture_encoding import encode_picture
from densepose_ext.prediction.inputs import find_pictures
from densepose_ext.prediction.stream import Frame, ahead, predict_frames, read_frame
from densepose_ext.prediction.writers import FORMATS, Options, write_files
from densepose_ext.video import VideoReader, VideoWriter
from densepose_ext.video.run import DRAWINGS, draw_video

#: Threads that read, and that write, as in ``predict``.
WORKERS = 2


def clocked(functions: dict[str, Callable], spent: dict[str, float]) -> dict[str, Callable]:
    """The functions, which also keep the least processor time each has taken, in seconds."""

    def clock(name: str, function: Callable) -> None:
        start = time.process_time()
        function()
        spent[name] = min(spent.get(name, float("inf")), time.process_time() - start)

    return {name: functools.partial(clock, name, f) for name, f in functions.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=8)
    args = parser.parse_args()
    scene = street()
    pictures = [np.roll(scene, 8 * number, axis=1) for number in range(args.pictures)]
    predictor = DensePosePredictor(device="cpu")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        film, written = folder / "film.mp4", folder / "written"
        with VideoWriter(film, 25) as writer:
            for number, picture in enumerate(pictures):
                (folder / f"{number:03d}.jpg").write_bytes(encode_picture(".jpg", picture))
                writer.write(picture)
        sources = find_pictures(sorted(map(str, folder.glob("*.jpg")))).pictures

        def network() -> None:
            frames = (Frame(str(number), picture) for number, picture in enumerate(pictures))
            for _ in predict_frames(frames, predictor.batch, lanes=predictor.lanes):
                pass

        def write(formats: tuple[str, ...], predicted: tuple) -> None:
            frame, people = predicted
            chosen = [FORMATS[form] for form in formats]
            write_files(written, frame.name, chosen, frame.picture, people, Options())

        def predict(*formats: str) -> None:
            frames = ahead(read_frame, sources, WORKERS)
            predicted = predict_frames(frames, predictor.batch, lanes=predictor.lanes)
            for _ in ahead(functools.partial(write, formats), predicted, WORKERS):
                pass

        def video() -> None:
            with VideoReader(film) as reader, VideoWriter(folder / "drawn.mp4", 25) as writer:
                draw_video(reader, writer, predictor, shows_progress=False)

        functions = {
            "network alone": network,
            "predict, overlay and iuv": functools.partial(predict, "overlay", "iuv"),
            "video": video,
        }
        spent: dict[str, float] = {}
        times = measure(clocked(functions, spent), args.repeats)
        for what, seconds in (("from file to file", times), ("processor time", spent)):
            title = f"640 x 480 {what}"
            report(title, seconds, "network alone", args.pictures, " a picture")

        people = predictor(scene)
        frame = read_frame(sources[0])
        times = measure(
            {
                "network": lambda: predictor(scene),
                "reading": lambda: read_frame(sources[0]),
                "overlay": functools.partial(write, ("overlay",), (frame, people)),
                "iuv": functools.partial(write, ("iuv",), (frame, people)),
                "drawing of video": lambda: DRAWINGS["parts"](scene, people, [1] * len(people)),
            }
        )
        report(f"one picture by stage, {len(people)} people", times, "network")


if __name__ == "__main__":
    main()
