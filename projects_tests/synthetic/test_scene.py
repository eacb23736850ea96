"""People in a scene."""

import numpy as np
import pytest

from densepose_ext.surface.registry import get_surface
from densepose_ext.synthetic.scene import sample_person, sample_scene
from densepose_ext.synthetic.settings import Settings


def turned_towards_the_camera(person):
    """Whether the body faces -y: its left is then at larger x."""
    return person.placement[0, 0] > 0


@pytest.mark.parametrize(("facing", "low", "high"), [(0.5, 0.3, 0.7), (0.9, 0.78, 0.99)])
def test_the_share_of_people_who_face_the_camera(facing, low, high):
    rng, body = np.random.default_rng(0), get_surface("open").body
    people = [sample_person(rng, body, facing) for _ in range(40)]
    assert low < np.mean([turned_towards_the_camera(person) for person in people]) < high


def test_only_people_turn_with_the_share():
    """All else is drawn as before."""
    body = get_surface("open").body
    one, other = (
        sample_scene(np.random.default_rng(3), body, 128, 1, facing=facing).people[0]
        for facing in (0.5, 0.9)
    )
    assert np.array_equal(one.rotations, other.rotations)
    assert not np.array_equal(one.placement, other.placement)


@pytest.mark.parametrize("facing", [0.4, 1.0])
def test_a_share_out_of_range(facing):
    with pytest.raises(ValueError, match=f"facing is {facing}; expected 0.5 or more"):
        Settings(facing=facing)


def test_datasets_made_before_the_setting_keep_their_record():
    assert "facing" not in Settings().record()
    assert Settings(facing=0.8).record()["facing"] == 0.8
