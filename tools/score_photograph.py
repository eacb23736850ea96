"""Scores a model on one photograph whose parts are known, pixel by pixel.

    python tools/score_photograph.py photograph.jpg photograph_IUV.png
    python tools/score_photograph.py photograph.jpg photograph_IUV.png \\
        --config output/demo/config.yaml --weights output/demo/training/model_final.pth

The second file is an IUV picture of the official project: its first channel, as read by OpenCV, is
the part. People with a score of at least .5 count.
"""

import argparse

import numpy as np

from densepose_ext import DensePosePredictor
from densepose_ext.files.picture_reader import read_picture
from densepose_ext.visualization import compose_iuv


def shares(predictor: DensePosePredictor, picture: np.ndarray, parts: np.ndarray) -> dict:
    """Recall, part accuracy and false positives, in pixels relative to those on bodies.

    Args:
        picture: (H, W, 3) uint8, BGR.
        parts: (H, W), 0 on background.

    Returns:
        "found": body pixels with any part; "right": with the right part; "beside": labelled pixels
        outside bodies. Each is divided by the number of pixels on bodies.

    Raises:
        ValueError: the sizes differ, or there is nobody.
    """
    body = parts > 0
    if parts.shape != picture.shape[:2] or not body.any():
        raise ValueError(
            f"parts of {parts.shape} with {body.sum()} pixels on bodies for a picture of"
            f" {picture.shape[:2]}; expected the same size, and people"
        )
    people = [person for person in predictor(picture) if person.score >= 0.5]
    labels = compose_iuv(people, parts.shape)[0][:, :, 0]
    return {
        "found": (labels[body] > 0).mean(),
        "right": (labels[body] == parts[body]).mean(),
        "beside": (labels[~body] > 0).sum() / body.sum(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photograph")
    parser.add_argument("iuv")
    parser.add_argument("--config", help="default: the shipped model's")
    parser.add_argument("--weights")
    parser.add_argument("--device")
    given = parser.parse_args()
    predictor = DensePosePredictor(given.config, given.weights, given.device)
    found = shares(predictor, read_picture(given.photograph), read_picture(given.iuv)[:, :, 0])
    print(", ".join(f"{name} {share:.1%}" for name, share in found.items()))
