"""Batches as a function of the seed and the iteration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.data.sampler import (
    STRETCH,
    TrainingBatches,
    by_orientation,
    repeats_from_config,
)
from projects_tests.tiny_model import tiny_config


def images_of(batches: TrainingBatches, count: int, start: int = 0) -> list[int]:
    return [s.image for t in range(start, start + count) for s in batches.batch(t)]


@st.composite
def plans(draw):
    """Arguments of TrainingBatches."""
    count = draw(st.integers(1, 40))
    repeats = draw(st.sampled_from(["plain", "fractions", "subset"]))
    seed = draw(st.integers(0, 2**40))
    rng = np.random.default_rng(seed)
    values = {
        "plain": np.ones(count),
        "fractions": rng.uniform(0.2, 3, count),
        "subset": np.arange(count) % 2 == 0,
    }[repeats]
    groups = rng.integers(0, 2, count) if draw(st.booleans()) else None
    return {"repeats": values, "batch_size": draw(st.sampled_from([1, 2, 6])), "seed": seed}, groups


@pytest.mark.slow
@given(plans(), st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_a_run_that_starts_later_goes_on_as_one_that_was_there(plan, start):
    arguments, groups = plan
    whole = TrainingBatches(**arguments, groups=groups)
    resumed = TrainingBatches(**arguments, groups=groups)
    resumed.first_iteration = start
    for expected, found, _ in zip(itertools.islice(whole, start, None), resumed, range(40)):
        assert found == expected


@pytest.mark.slow
@given(plans(), st.sampled_from([2, 3]))
@settings(max_examples=20, deadline=None)
def test_processes_share_the_batch_of_one(plan, world_size):
    arguments, groups = plan
    arguments["batch_size"] = 6
    alone = TrainingBatches(**arguments, groups=groups)
    shares = [
        TrainingBatches(**arguments, groups=groups, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for iteration in (0, 5, STRETCH, 3 * STRETCH + 1):
        shared = [sample for share in shares for sample in share.batch(iteration)]
        assert shared == alone.batch(iteration)


@given(plans())
@settings(max_examples=30, deadline=None)
def test_images_occur_as_often_as_their_repeats(plan):
    arguments, groups = plan
    arguments["batch_size"] = 1
    repeats = arguments["repeats"]
    # A number of whole stretches, for grouping changes the order within each.
    count = STRETCH * (1 + int(3 * repeats.sum()) // STRETCH)
    times = np.bincount(
        images_of(TrainingBatches(**arguments, groups=groups), count), minlength=len(repeats)
    )
    epochs = count / repeats.sum()
    # All but the epoch in progress is exact but for rounding.
    assert (times >= np.floor((epochs - 1.1) * repeats) - 1).all()
    assert (times <= np.ceil((epochs + 1.1) * repeats) + 1).all()
    assert not times[repeats == 0].any()


def test_an_epoch_holds_every_image_once_in_an_order_of_its_own():
    batches = TrainingBatches(np.ones(6), 3, seed=1)
    epochs = [images_of(batches, 2, start) for start in range(0, 40, 2)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 15


def test_grouping_mixes_one_batch_of_a_stretch_at_most_and_leaves_nothing_out():
    groups = np.arange(50) % 5 == 0
    grouped = TrainingBatches(np.ones(50), 4, seed=3, groups=groups)
    plain = TrainingBatches(np.ones(50), 4, seed=3)
    for stretch in range(4):
        of_a_stretch = [
            groups[[s.image for s in grouped.batch(stretch * STRETCH + k)]].astype(int)
            for k in range(STRETCH)
        ]
        mixed = [batch for batch in of_a_stretch if len(set(batch)) > 1]
        assert len(mixed) <= 1
        # The rare shape is not kept for the end.
        assert any(batch.all() for batch in of_a_stretch[: STRETCH // 2])
        same = stretch * STRETCH
        assert sorted(images_of(grouped, STRETCH, same)) == sorted(images_of(plain, STRETCH, same))


def test_positions_count_all_samples_of_the_run():
    batches = TrainingBatches(np.ones(5), 4, seed=0, rank=1, world_size=2)
    assert [[s.position for s in batches.batch(t)] for t in (0, 1, 9)] == [
        [2, 3],
        [6, 7],
        [38, 39],
    ]


def test_another_seed_is_another_order():
    batches = TrainingBatches(np.ones(30), 2, seed=0)
    before = images_of(batches, 15)
    batches.seed = 1
    assert images_of(batches, 15) != before


def test_batches_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="no image to draw"):
        TrainingBatches([0.0, 0.0], 2, seed=0)
    with pytest.raises(ValueError, match=r"IMS_PER_BATCH = 3 images .* by 2 processes"):
        TrainingBatches([1.0], 3, seed=0, world_size=2)


def records(*categories: int) -> list[dict]:
    return [{"annotations": [{"category_id": category}]} for category in categories]


def test_repeats_follow_the_sampler_of_the_config():
    images = records(0, 0, 0, 0, 1)
    assert repeats_from_config(tiny_config(), images).tolist() == [1] * 5

    cfg = tiny_config(
        "DATALOADER.SAMPLER_TRAIN", "RepeatFactorTrainingSampler",
        "DATALOADER.REPEAT_THRESHOLD", 0.8,
    )  # fmt: skip
    assert repeats_from_config(cfg, images).tolist() == [1, 1, 1, 1, 2]

    cfg = tiny_config("DATALOADER.SAMPLER_TRAIN", "WeightedTrainingSampler")
    with pytest.raises(ValueError, match="SAMPLER_TRAIN = 'WeightedTrainingSampler', expected"):
        repeats_from_config(cfg, images)


def test_wide_pictures_are_a_group_of_their_own():
    sizes = [(10, 10), (11, 10), (10, 11)]
    assert by_orientation([{"width": w, "height": h} for w, h in sizes]).tolist() == [0, 1, 0]
