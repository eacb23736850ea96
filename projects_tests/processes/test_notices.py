"""densepose_ext.processes.notices: what is hidden, and what is not."""

import logging
import multiprocessing
import sys
import warnings

import pytest
from PIL import Image

from densepose_ext.files.picture_reader import read_picture
from densepose_ext.processes.notices import JIT_SCRIPT, hide_notices


@pytest.mark.parametrize("end", ["deprecated.", "not supported in Python 3.14+ and may break."])
def test_how_detectron2_calls_torch_is_no_matter_of_the_user(end):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", JIT_SCRIPT)
        warnings.warn(f"`torch.jit.script` is {end}", FutureWarning, stacklevel=1)
        warnings.warn("`torch.jit.load` is deprecated.", FutureWarning, stacklevel=1)
    assert [str(one.message) for one in shown] == ["`torch.jit.load` is deprecated."]


def test_left_over_weights_of_a_backbone_are_no_matter_of_the_user(caplog):
    hide_notices()
    hide_notices()
    logger = logging.getLogger("timm.models._builder")
    logger.warning("Unexpected keys (classifier.weight) found while loading pretrained weights.")
    logger.warning("Missing keys (conv.weight) discovered while loading pretrained weights.")
    (record,) = caplog.records
    assert record.getMessage().startswith("Missing keys")


def test_large_pictures_and_damaged_exif_data_are_no_matter_of_the_user(tmp_path, monkeypatch):
    cut_short = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03"
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=cut_short)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        read_picture(tmp_path / "a.jpg")
    assert {one.category for one in shown} == {Image.DecompressionBombWarning, UserWarning}
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        hide_notices()
        read_picture(tmp_path / "a.jpg")
    assert not shown


def test_new_processes_hide_it_from_their_start(monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [])
    hide_notices()
    hide_notices()
    assert len(sys.warnoptions) == 1
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        filters = pool.apply(eval, ("__import__('warnings').filters",))
    hidden = [kind for kind, message, *_ in filters if message and message.match(JIT_SCRIPT)]
    assert hidden == ["ignore"]
