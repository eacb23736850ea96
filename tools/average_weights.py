"""Averages checkpoints of one model, as those of successive trainings.

    python tools/average_weights.py average.pth output/synth/model_final.pth 0.15 \\
      output/synth_restart/model_final.pth 0.35 output/synth_averaged/model_final.pth 0.5

Each file is followed by its weight in the average. Such averages test better than the models
themselves, as long as these come from each other (Wortsman et al., "Model soups", ICML 2022).
"""

import argparse
from pathlib import Path

import torch

from densepose_ext.files.atomic import replacing
from densepose_ext.files.weights import read_weights


def average(files: list[str], weights: list[float]) -> dict:
    """The average of checkpoints' models; what is no floating-point tensor is that of the last.

    Raises:
        OSError, ValueError: a file holds no weights, a weight is not positive, or the models differ
            in names or shapes.
    """
    if min(weights) <= 0:
        raise ValueError(f"the weights are {weights}, expected positive numbers")
    models = [read_weights(file)["model"] for file in files]
    shapes = [{name: tuple(x.shape) for name, x in model.items()} for model in models]
    for file, other in zip(files[1:], shapes[1:]):
        if other != shapes[0]:
            name = min(set(other.items()) ^ set(shapes[0].items()))[0]
            raise ValueError(
                f"{file}: {name} is of shape {other.get(name)}, expected {shapes[0].get(name)} as"
                f" in {files[0]}"
            )
    averaged = dict(models[-1])
    for name, last in models[-1].items():
        if last.is_floating_point():
            parts = (weight * model[name].double() for model, weight in zip(models, weights))
            averaged[name] = (sum(parts) / sum(weights)).to(last.dtype)
    return averaged


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("checkpoints", nargs="+", metavar="FILE WEIGHT")
    arguments = parser.parse_args()
    files, weights = arguments.checkpoints[::2], arguments.checkpoints[1::2]
    if len(files) != len(weights):
        parser.error("expected a weight after each file")
    averaged = average(files, list(map(float, weights)))
    with replacing(arguments.out) as unfinished:
        torch.save({"model": averaged}, unfinished)
