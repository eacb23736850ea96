"""What tests of predictors and runs share."""

import numpy as np
import pytest
import torch
from PIL import Image

from projects_tests.tiny_model import tiny_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Pictures of several kinds, a damaged file, and one that is not a picture."""
    folder = tmp_path / "pictures"
    (folder / "süd ost").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, size in [("a.jpg", (60, 80)), ("a.png", (80, 60)), ("süd ost/人 1.png", (50, 70))]:
        noise = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    return folder
