"""Batches in one block of memory: the output equals the input."""

import pickle

import numpy as np
import pytest
import torch
from detectron2.data.build import trivial_batch_collator
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints, PolygonMasks
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from densepose_ext.data.packing import PackedBatch
from densepose_ext.structures import DensePoseAnnotation, DensePoseAnnotationList

DTYPES = (torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool)


def through(batch):
    return pickle.loads(pickle.dumps(PackedBatch(batch)))


def memory_of(*tensors: torch.Tensor) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3)), max_size=6
    )
)
def test_tensors_of_any_type_and_shape(kinds):
    batch = [torch.randint(0, 2, shape).to(dtype) for dtype, shape in kinds]
    back = through(batch)
    assert [t.dtype for t in back] == [t.dtype for t in batch]
    assert [t.shape for t in back] == [t.shape for t in batch]
    assert all(torch.equal(a, b) for a, b in zip(batch, back))
    for n, tensor in enumerate(back):  # writing into one leaves the others alone
        tensor.fill_(1)
        assert all(torch.equal(a, b) for a, b in zip(batch[n + 1 :], back[n + 1 :]))


def test_views_and_transposed_tensors_keep_their_values():
    whole = torch.arange(12.0).view(3, 4)
    assert all(
        torch.equal(a, b)
        for a, b in zip([whole.T, whole[1:, ::2]], through([whole.T, whole[1:, ::2]]))
    )


def test_one_tensor_twice_is_one_tensor():
    one = torch.zeros(3)
    first, second = through([one, {"again": one}])
    assert first is second["again"]


def test_what_is_no_plain_tensor_on_the_cpu_comes_through():
    sparse, trained = torch.eye(3).to_sparse(), torch.nn.Parameter(torch.ones(2))
    array, text, back, other = through([np.arange(3), "text", sparse, trained])
    assert np.array_equal(array, np.arange(3))
    assert text == "text"
    assert torch.equal(back.to_dense(), torch.eye(3))
    assert isinstance(other, torch.nn.Parameter)
    assert torch.equal(other, trained)


def an_image(number: int) -> dict:
    generator = torch.Generator().manual_seed(number)
    points = [torch.rand(5, generator=generator) for _ in range(5)]
    people = Instances((20, 30))
    people.gt_boxes = Boxes(torch.rand(2, 4, generator=generator))
    people.gt_classes = torch.zeros(2, dtype=torch.long)
    people.gt_masks = BitMasks(torch.rand(2, 20, 30, generator=generator) > 0.5)
    people.gt_keypoints = Keypoints(torch.rand(2, 17, 3, generator=generator))
    people.gt_densepose = DensePoseAnnotationList(
        [DensePoseAnnotation(*points, segm=torch.ones(256, 256, dtype=torch.uint8)), None]
    )
    polygons = PolygonMasks([[np.random.default_rng(number).random(8)]])
    return {"image": torch.rand(3, 20, 30, generator=generator), "instances": people, "p": polygons}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_workers_share_their_memory(workers):
    loader = DataLoader(
        [an_image(n) for n in range(4)],
        batch_size=2,
        num_workers=workers,
        collate_fn=PackedBatch if workers else trivial_batch_collator,
    )
    for number, batch in enumerate(loader):
        tensors = []
        for image, expected in zip(batch, (an_image(2 * number), an_image(2 * number + 1))):
            own, given_ = image["instances"], expected["instances"]
            pairs = [
                (image["image"], expected["image"]),
                (own.gt_boxes.tensor, given_.gt_boxes.tensor),
                (own.gt_classes, given_.gt_classes),
                (own.gt_masks.tensor, given_.gt_masks.tensor),
                (own.gt_keypoints.tensor, given_.gt_keypoints.tensor),
                (own.gt_densepose[0].x, given_.gt_densepose[0].x),
                (own.gt_densepose[0].segm, given_.gt_densepose[0].segm),
            ]
            assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)
            assert own.image_size == (20, 30)
            assert own.gt_densepose[1] is None
            assert np.array_equal(image["p"].polygons[0][0], expected["p"].polygons[0][0])
            tensors += [tensor for tensor, _ in pairs]
        assert (len(memory_of(*tensors)) == 1) is bool(workers)
