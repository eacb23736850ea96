"""What tests of the mapper share."""

import copy

import pytest

from densepose_ext.data import load_densepose_coco


@pytest.fixture
def image(tiny_dataset, surface_folder):
    """The record of an image, which may be changed."""
    folder = str(tiny_dataset.parent)
    return copy.deepcopy(
        load_densepose_coco(str(tiny_dataset), folder, surface=str(surface_folder))[0]
    )
