"""The shipped models, and how they are packed."""

from pathlib import Path

import pytest
import torch

from densepose_ext import DensePosePredictor, model_zoo
from projects_tests.tiny_model import CONFIG, picture, tiny_model


def test_every_model_has_config_weights_and_card():
    assert model_zoo.DEFAULT in model_zoo.names()
    for name in model_zoo.names():
        model = model_zoo.get(name)
        assert Path(model.config).stem == name
        assert Path(model.weights).stat().st_size <= 15e6
        card = Path(model.card).read_text()
        for heading in ("Data", "Recipe", "Figures", "Limits", "Licence"):
            assert f"## {heading}" in card


def test_unknown_model():
    with pytest.raises(ValueError, match=rf"no trained model 'other'.*{model_zoo.DEFAULT}"):
        model_zoo.get("other")


@pytest.mark.slow
def test_packed_weights_are_those_of_the_checkpoint_in_half_precision(tmp_path):
    model = tiny_model()
    state = {"model": model.state_dict(), "optimizer": {"state": torch.zeros(1000)}, "iteration": 3}
    checkpoint, packed = tmp_path / "model_final.pth", tmp_path / "packed.pth"
    torch.save(state, checkpoint)
    size = model_zoo.pack(checkpoint, packed)
    assert size == packed.stat().st_size < 0.6 * checkpoint.stat().st_size
    content = torch.load(packed, weights_only=True)
    assert content.keys() == {"model"}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(
            content["model"][name].to(value.dtype), value, rtol=1e-3, atol=1e-6
        )
    predictor = DensePosePredictor(CONFIG, packed, "cpu")
    image = picture()["image"].permute(1, 2, 0).numpy()
    assert len(predictor(image)) == len(DensePosePredictor(CONFIG, checkpoint, "cpu")(image))


def test_what_cannot_be_packed(tmp_path):
    path = tmp_path / "checkpoint.pth"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="a Git LFS pointer"):
        model_zoo.pack(path, tmp_path / "packed.pth")
    torch.save({"weights": {}}, path)
    with pytest.raises(ValueError, match="expected a checkpoint with the entry 'model'"):
        model_zoo.pack(path, tmp_path / "packed.pth")
    torch.save({"model": {"layer.weight": torch.tensor([1e6])}}, path)
    with pytest.raises(ValueError, match=r"layer\.weight has values that half precision lacks"):
        model_zoo.pack(path, tmp_path / "packed.pth")
    assert not (tmp_path / "packed.pth").exists()
