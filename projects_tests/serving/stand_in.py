"""A predictor that is quick, and whose results say which picture they are of."""

import io

import numpy as np
import torch
from PIL import Image

from densepose_ext.prediction.people import People
from densepose_ext.serving.models import Models
from densepose_ext.serving.server import make_app
from densepose_ext.structures import DensePoseResult, Person

HERE = "http://127.0.0.1:8000"


class StandIn:
    """Finds three people in every picture, whose U and V are the picture's mean blue."""

    def __init__(self, *arguments, min_score=0.2, **settings):
        self.min_score = min_score
        self.calls = 0

    def __call__(self, picture: np.ndarray) -> People:
        self.calls += 1
        uv = torch.full((2, 4, 6), float(picture[..., 0].mean()) / 255)
        result = DensePoseResult(torch.full((4, 6), 2, dtype=torch.uint8), uv)
        box = np.array([1, 2, 7, 6], np.float32)
        return People([Person(box, score, result) for score in (0.9, 0.6, 0.3)], picture.shape[:2])


def models(*given: str, predictor=StandIn, **settings) -> Models:
    """Models, all of which are stand-ins."""
    return Models(given, opening=predictor, **settings)


def app(limits=None, token=None, predictor=StandIn):
    """The application, whose model is a stand-in."""
    return make_app(models(predictor=predictor), limits, token)


def picture_file(blue: int = 100, size=(16, 12), ending: str = "png", **saving) -> bytes:
    """A picture file of one colour; ``size`` is (width, height)."""
    stream = io.BytesIO()
    Image.new("RGB", size, (10, 20, blue)).save(stream, ending, **saving)
    return stream.getvalue()
