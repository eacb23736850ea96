"""Runs the files of `densepose-ext export`, without Detectron2 and densepose_ext.

Usage:
    densepose-ext export --out exported --format torchscript,onnx
    python examples/run_exported.py exported picture.jpg parts.png           # torch, torchvision
    python examples/run_exported.py exported picture.jpg parts.png --onnx    # onnxruntime
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

TURBO = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_TURBO).reshape(256, 3)


def load(path):
    """A function from arrays, the network's inputs in order, to a list of arrays."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        return lambda *arrays: session.run(None, dict(zip(names, arrays)))
    import torch
    import torchvision  # noqa: F401  # registers the operators of RoI pooling and NMS

    network = torch.jit.load(str(path), map_location="cpu")

    def run(*arrays):
        with torch.no_grad():
            return [value.numpy() for value in network(*map(torch.from_numpy, arrays))]

    return run


def resize(picture, shortest, longest):
    """Resizes to the size that the model expects; results depend slightly on the method."""
    height, width = picture.shape[:2]
    scale = min(shortest / min(height, width), longest / max(height, width)) if shortest else 1
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(
        picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )


def find_people(folder, picture, ending, min_score):
    """Yields (column, row, labels (h, w) uint8, other values) of each person, best score last.

    The other values are uv (2, h, w) or, of a CSE model, vertices (1, h, w).
    """
    description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    wanted, networks = description["picture"], description["networks"]
    small = resize(picture, wanted["shortest_edge"], wanted["longest_edge"])
    channels = small if wanted["channels"] == "BGR" else small[:, :, ::-1]
    channels = np.ascontiguousarray(channels.transpose(2, 0, 1))
    values = load(folder / f"model{ending}")(channels)
    found = dict(zip(networks["model"]["outputs"], values))
    scores, boxes = found.pop("scores"), found.pop("boxes")
    boxes = boxes * (np.array(picture.shape[1::-1] * 2) / (small.shape[1::-1] * 2))
    boxes = boxes[scores >= min_score].astype(np.float32)
    if not len(boxes):
        return
    given = {name: value[scores >= min_score] for name, value in found.items()}
    given["boxes"] = boxes
    inputs = [given[name] for name in networks["decoder"]["inputs"]]
    labels, values, sizes = load(folder / f"decoder{ending}")(*inputs)
    values = values.reshape(-1, len(labels))
    ends = sizes.prod(1).cumsum()
    for (x, y), (h, w), end in list(zip(boxes[:, :2].astype(int), sizes, ends))[::-1]:
        start = end - h * w
        yield x, y, labels[start:end].reshape(h, w), values[:, start:end].reshape(-1, h, w)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("picture")
    parser.add_argument("out")
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--min-score", type=float, default=0.5)
    args = parser.parse_args()
    picture = cv2.imread(args.picture)
    if picture is None:
        parser.error(f"{args.picture} cannot be read as a picture")
    ending = ".onnx" if args.onnx else ".ts"
    for name in ("model.json", f"model{ending}"):
        if not (args.folder / name).exists():
            parser.error(f"{args.folder / name} does not exist; densepose-ext export writes it")
    for x, y, labels, _ in find_people(args.folder, picture, ending, args.min_score):
        area = picture[y : y + labels.shape[0], x : x + labels.shape[1]]
        labels = labels[: area.shape[0], : area.shape[1]]
        on_body = labels > 0
        area[on_body] = 0.3 * area[on_body] + 0.7 * TURBO[10 * labels[on_body]]  # 24 parts
    if not cv2.imwrite(args.out, picture):
        parser.error(f"{args.out} cannot be written")


if __name__ == "__main__":
    main()
