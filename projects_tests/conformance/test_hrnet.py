"""A whole model on HRNet, compared with the official one: levels, detections and maps.

One picture has sides that are multiples of 32, the other has not.
"""

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances

from densepose_ext import load_config
from projects_tests.reference import conformance_file

CONFIG = conformance_file("cse/hrnet/config.yaml")
pytestmark = pytest.mark.skipif(CONFIG is None, reason="no case of HRNet")


@pytest.fixture(scope="module")
def case():
    """(model, expected outputs)."""
    pytest.importorskip("timm")
    model = build_model(load_config(str(CONFIG))).eval()
    state = torch.load(CONFIG.with_name("model.pth"), weights_only=True)["model"]
    # Stored in half precision, exact in single.
    state = {name: x.float() if x.is_floating_point() else x for name, x in state.items()}
    found = model.load_state_dict(state, strict=False)
    assert not found.unexpected_keys
    assert not found.missing_keys
    return model, np.load(CONFIG.with_name("outputs.npz"))


def assert_close(found: torch.Tensor, expected: np.ndarray, name: str) -> None:
    """Equal at the cells that are stored: every n-th."""
    step = found.shape[-1] // expected.shape[-1]
    found = found[..., ::step, ::step].numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("picture", ["aligned", "odd"])
@torch.no_grad()
def test_the_model_is_the_official_one(case, picture):
    model, stored = case
    expected = {
        name.removeprefix(f"{picture}_"): stored[name]
        for name in stored.files
        if name.startswith(picture)
    }
    image = torch.from_numpy(expected["image_u8"]).float()
    height, width = image.shape[1:]

    levels = model.backbone(model.preprocess_image([{"image": image}]).tensor)
    assert [list(level.shape) for level in levels.values()] == expected["shapes"].tolist()
    for name, level in levels.items():
        assert_close(level[0], expected[name], name)

    found = model([{"image": image, "height": height, "width": width}])[0]["instances"]
    np.testing.assert_allclose(found.pred_boxes.tensor, expected["detected_boxes"], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected["detected_scores"], atol=1e-5)

    given = Instances((height, width))
    given.pred_boxes = Boxes(torch.from_numpy(expected["given_boxes"]))
    given.pred_classes = torch.zeros(len(given), dtype=torch.int64)
    (given,) = model.roi_heads.forward_with_given_boxes(levels, [given])
    maps = dict(given.pred_densepose.items())
    raw = {name.removeprefix("raw_") for name in expected if name.startswith("raw_")}
    assert set(maps) == raw
    for name, values in maps.items():
        assert_close(values, expected[f"raw_{name}"], name)
