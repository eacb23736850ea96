"""Surfaces by name."""

import pytest

from densepose_ext.surface import registry
from densepose_ext.surface.official import OfficialSurface


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    monkeypatch.setattr(registry, "_surfaces", {})


def test_names_and_folders(tmp_path):
    made = []

    class Made:
        name = "made"

        def __init__(self):
            made.append(self)

    registry.register_surface("made", Made)
    assert not made
    assert registry.get_surface("made") is registry.get_surface("made") is made[0]
    assert len(made) == 1
    folder = registry.get_surface(tmp_path)
    assert isinstance(folder, OfficialSurface)
    assert folder.folder == tmp_path
    assert registry.get_surface(str(tmp_path)) is folder
    assert isinstance(registry.get_surface("smpl"), OfficialSurface)


def test_unknown_and_taken_names():
    with pytest.raises(ValueError, match=r"'nowhere'.*smpl"):
        registry.get_surface("nowhere")
    with pytest.raises(ValueError, match="smpl"):
        registry.register_surface("smpl", OfficialSurface)
