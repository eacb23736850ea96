"""Objects other than people: watertight meshes, unlabelled pixels."""

from dataclasses import replace

import numpy as np
import pytest

from densepose_ext.surface.raster import rasterize
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from densepose_ext.synthetic.things import KINDS

PLAIN = Settings(size=128, seed=3, people=2)
CROWDED = replace(PLAIN, things=12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_meshes_are_closed_and_face_outwards(kind):
    rng = np.random.default_rng(4)
    for _ in range(3):
        thing = kind(rng)
        assert thing.vertices[:, 2].min() == pytest.approx(0)
        assert 0.05 < thing.vertices[:, 2].max() < 5
        assert len(thing.vertices) == len(thing.places) == len(thing.colours) == len(thing.gloss)
        assert thing.faces.min() == 0
        assert thing.faces.max() == len(thing.vertices) - 1
        # By the divergence theorem: the volume is positive where faces look outwards.
        a, b, c = (thing.vertices[thing.faces[:, k]] for k in range(3))
        assert (a * np.cross(b, c)).sum() > 0
        # From any side, the faces that look towards the camera hide those that do not.
        look = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        size = np.ptp(thing.vertices, axis=0).max()
        points = thing.vertices @ look.T + [0, thing.vertices[:, 2].max() / 2, 3 * size]
        front = rasterize(points, thing.faces, 150, (96, 96))
        both = rasterize(points, thing.faces, 150, (96, 96), two_sided=True)
        assert front.hit.sum() > 50
        np.testing.assert_array_equal(front.hit, both.hit)


@pytest.mark.slow
def test_they_are_nobody_and_hide_people():
    hidden = shown = 0
    for number in range(20):
        example = make_example(CROWDED, "train", number)
        camera = example.scene.camera
        for thing in example.scene.things:
            seen = rasterize(camera.view(thing.vertices), thing.faces, camera.focal, camera.size)
            people = np.min([b.depth for b in example.seen.bodies], axis=0)
            before = np.isfinite(people) & (seen.depth < people - 0.3)
            shown += (example.seen.owner[before] >= 0).sum()
            hidden += before.sum()
        for annotation in example.annotations:
            assert annotation["bbox"][2] > 0
    assert hidden > 30
    assert shown < 0.1 * hidden  # of hair and skirts, which stand off the body


@pytest.mark.slow
def test_things_are_there_when_asked_for_and_change_nothing_else():
    assert not make_example(PLAIN, "val", 0).scene.things
    assert sum(len(make_example(CROWDED, "val", n).scene.things) for n in range(4)) > 4
    assert "things" not in PLAIN.record()
    assert CROWDED.record()["things"] == 12
    with pytest.raises(ValueError, match="things is 21; expected 0 to 20"):
        replace(PLAIN, things=21)
