"""Mapped batches: the same from any first iteration, and with any number of workers."""

import itertools
import multiprocessing
import pickle

import numpy as np
import pytest
import torch

from densepose_ext.data import DensePoseDatasetMapper, load_densepose_coco
from densepose_ext.data.loader import MappedImages, start_method, training_loader
from densepose_ext.data.sampler import Sample, TrainingBatches
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_model import tiny_config


@pytest.fixture(scope="module")
def images(tmp_path_factory, surface_folder):
    folder = tmp_path_factory.mktemp("loader")
    path = make_dataset(folder, images=5)
    return load_densepose_coco(str(path), str(folder), surface=str(surface_folder))


@pytest.fixture(scope="module")
def mapper():
    return DensePoseDatasetMapper(
        tiny_config("INPUT.ROTATION_ANGLES", [-9, 0, 9], "INPUT.COLOR_JITTER", 0.3), True
    )


def loader(images, mapper, start=0, workers=0, **of_batches):
    batches = TrainingBatches(np.ones(len(images)), 2, seed=3, **of_batches)
    batches.first_iteration = start
    return training_loader(images, mapper, batches, workers)


def first(batches, count: int, skip: int = 0) -> list[tuple]:
    """Image, pixels, and points of all people, of the images of some batches."""
    return [
        (d["image_id"], d["image"], d["instances"].gt_boxes.tensor, d["instances"].gt_densepose.x)
        for batch in itertools.islice(batches, skip, skip + count)
        for d in batch
    ]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one[0] == other[0]
        assert all(torch.equal(a, b) for a, b in zip(one[1:], other[1:]))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_starts_later_goes_on(images, mapper, workers):
    np.random.seed(1)
    torch.manual_seed(1)
    whole = first(loader(images, mapper), 5, skip=3)
    np.random.seed(2)
    torch.manual_seed(2)
    assert_same(first(loader(images, mapper, start=3, workers=workers), 5), whole)


def test_images_sent_to_a_process_are_mapped_the_same(images, mapper):
    """By pickle, as workers that are not forked get them."""
    dataset = MappedImages(images, mapper, (40, 60, 80))
    sample = next(iter(TrainingBatches(np.ones(5), 2, seed=3)))[0]
    mapped = [d[sample] for d in (dataset, pickle.loads(pickle.dumps(dataset)))]
    assert_same(first([mapped[1:]], 1), first([mapped[:1]], 1))


@pytest.mark.parametrize(
    ("default", "chosen", "workers", "expected"),
    [
        ("forkserver", None, 2, "fork"),  # Python 3.14 on Linux
        ("forkserver", "forkserver", 2, "fork"),  # the default, in use
        ("forkserver", "spawn", 2, None),
        ("forkserver", None, 0, None),
        ("fork", None, 2, None),  # Python 3.13 on Linux
        ("fork", "forkserver", 2, None),
        ("spawn", None, 2, None),  # macOS, Windows
    ],
)
def test_workers_are_forked_as_before_python_3_14(
    default, chosen, workers, expected, monkeypatch, images, mapper
):
    others = [name for name in ("fork", "spawn", "forkserver") if name != default]
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: [default, *others])
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: chosen)
    assert start_method(workers) == expected
    context = loader(images, mapper, workers=workers).multiprocessing_context
    assert (context and context.get_start_method()) == expected


def test_the_same_image_is_augmented_anew_each_time(images, mapper):
    seen = first(loader(images[:1], mapper), 4)
    assert len({(image.shape, image.double().sum().item()) for _, image, *_ in seen}) > 4


@pytest.mark.slow
def test_pictures_of_a_batch_have_one_size(images, mapper):
    """Drawn per batch, the same in every process and from any first iteration."""
    edges = (40, 60, 80)
    batches = TrainingBatches(np.ones(5), 4, seed=3)
    whole = list(itertools.islice(training_loader(images, mapper, batches, 0, edges), 20))
    sizes = [{min(d["image"].shape[1:]) for d in batch} for batch in whole]
    assert all(len(size) == 1 for size in sizes)
    assert set().union(*sizes) == set(edges)
    assert all("shortest_edge" not in d for batch in whole for d in batch)
    shares = []
    for rank in range(2):
        share = TrainingBatches(np.ones(5), 4, seed=3, rank=rank, world_size=2)
        share.first_iteration = 7
        shares.append(next(iter(training_loader(images, mapper, share, 1, edges))))
    found = [d["image"] for share in shares for d in share]
    assert all(torch.equal(one, d["image"]) for one, d in zip(found, whole[7]))


def test_loading_leaves_the_global_generators_alone(images, mapper):
    np.random.seed(1)
    torch.manual_seed(1)
    expected = np.random.rand(), torch.rand(())
    np.random.seed(1)
    torch.manual_seed(1)
    first(loader(images, mapper), 2)
    assert (np.random.rand(), torch.rand(())) == expected


def test_an_unreadable_image_is_replaced_by_the_same_other_one(images, mapper):
    def damaged(record):
        return None if record["image_id"] in (2, 4) else mapper(record)

    whole = first(loader(images, damaged), 6)
    assert {image for image, *_ in whole} == {1, 3, 5}
    # The same number of images was read before, or none.
    assert_same(first(loader(images, damaged, start=4), 2), whole[8:])


def test_when_no_image_can_be_read(images):
    dataset = MappedImages(images, lambda record: None)
    with pytest.raises(ValueError, match=r"none of the 5 images .* can be read, .*1\.jpg"):
        dataset[Sample(2, 0, 0, 0)]
