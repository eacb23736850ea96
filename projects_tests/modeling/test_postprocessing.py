"""Results equal those of interpolating every channel, for any maps, layouts and boxes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from densepose_ext.modeling import postprocessing
from densepose_ext.modeling.postprocessing import box_sizes, densepose_results
from densepose_ext.structures import DensePoseEmbeddingOutput, DensePoseOutput
from densepose_ext.structures.outputs import MeshesOfPeople

CONFIDENCES = ("fine_segm_confidence", "coarse_segm_confidence")


def make_output(people, side, coarse_channels=2, smooth=True, seed=0, **more):
    """Maps with regions of a few cells (smooth), or of noise."""
    generator = torch.Generator().manual_seed(seed)
    cells = max(2, side // 4) if smooth else side

    def maps(channels):
        value = torch.randn(people, channels, cells, cells, generator=generator)
        return F.interpolate(value, size=(side, side), mode="bicubic")

    extra = {name: maps(channels) for name, channels in more.items()}
    return DensePoseOutput(maps(coarse_channels), maps(25), maps(25), maps(25), **extra)


def interpolated_plainly(output, n, size):
    def at_box(value):
        return F.interpolate(value[n : n + 1].contiguous(), size, mode="bilinear")[0]

    labels = at_box(output.fine_segm).argmax(0) * (at_box(output.coarse_segm).argmax(0) > 0)
    values = {}
    for name, value in output.items():
        if name.endswith("_segm"):
            continue
        channel = torch.zeros_like(labels) if name in CONFIDENCES else labels
        picked = at_box(value).gather(0, channel[None])[0]
        values[name] = picked if name in CONFIDENCES else picked * (labels > 0)
    return labels, values


def check(output, boxes):
    results = densepose_results(output, boxes)
    assert len(results) == len(boxes)
    for n, (result, size) in enumerate(zip(results, box_sizes(boxes))):
        labels, values = interpolated_plainly(output, n, size)
        assert result.labels.shape == size
        assert result.labels.dtype == torch.uint8
        agree = result.labels == labels
        # Two channels that tie within rounding may be told apart differently.
        assert agree.float().mean() > 0.999 or (~agree).sum() <= 1
        found = {"u": result.uv[0], "v": result.uv[1]}
        for name, value in values.items():
            value_found = found.get(name, getattr(result, name, None))
            torch.testing.assert_close(value_found[agree], value[agree], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    side=st.sampled_from([2, 5, 14, 28]),
    coarse_channels=st.sampled_from([2, 15]),
    smooth=st.booleans(),
    channels_last=st.booleans(),
    sizes=st.lists(st.tuples(st.floats(0.1, 90), st.floats(0.1, 90)), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_results_equal_those_of_interpolating_every_channel(
    side, coarse_channels, smooth, channels_last, sizes, seed
):
    output = make_output(len(sizes), side, coarse_channels, smooth, seed)
    if channels_last:
        output = output.map(lambda value: value.contiguous(memory_format=torch.channels_last))
    boxes = torch.tensor([[7.3, 2.9, 7.3 + w, 2.9 + h] for w, h in sizes])
    check(output, boxes)


def test_confidences_and_views_of_one_tensor():
    output = make_output(
        3, 14, sigma_2=25, kappa_u=25, kappa_v=25, fine_segm_confidence=1, coarse_segm_confidence=1
    )
    names, values = zip(*output.items())
    joined = torch.cat(values, dim=1).contiguous(memory_format=torch.channels_last)
    parts = joined.split([value.shape[1] for value in values], dim=1)
    boxes = torch.tensor([[0.0, 0, 40, 30], [5, 5, 6, 90], [1, 1, 200, 3]])
    check(DensePoseOutput(**dict(zip(names, parts))), boxes)


@pytest.mark.parametrize("pixels_at_once", [400_000, 700])
def test_improbable_parts_become_background(monkeypatch, pixels_at_once):
    monkeypatch.setattr(postprocessing, "PIXELS_AT_ONCE", pixels_at_once)
    output = make_output(3, 14)
    boxes = torch.tensor([[0.0, 0, 30, 50], [5, 5, 45, 25], [1, 1, 8, 4]])
    hidden = 0
    for n, (every, kept) in enumerate(
        zip(densepose_results(output, boxes), densepose_results(output, boxes, 0.3))
    ):
        size = every.labels.shape
        logits = F.interpolate(output.fine_segm[n : n + 1], size, mode="bilinear")[0]
        probability = logits.softmax(0).gather(0, every.labels[None].long())[0]
        clear = (probability - 0.3).abs() > 1e-5
        expected = every.labels * (probability >= 0.3)
        assert torch.equal(kept.labels[clear], expected[clear])
        assert torch.equal(kept.uv, every.uv * (kept.labels > 0))
        hidden += int((expected != every.labels).sum())
    assert hidden > 100


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_confidence_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=r"min_confidence = .*, expected 0 to 1"):
        densepose_results(make_output(1, 14), torch.tensor([[0.0, 0, 9, 9]]), value)


def test_groups_of_people_do_not_change_the_results(monkeypatch):
    output = make_output(5, 14)
    boxes = torch.tensor([[0.0, 0, 30 + 7 * n, 50 - 9 * n] for n in range(5)])
    at_once = densepose_results(output, boxes)
    monkeypatch.setattr(postprocessing, "PIXELS_AT_ONCE", 1)
    for one, other in zip(at_once, densepose_results(output, boxes)):
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.uv, other.uv)


def test_without_people_there_are_no_results():
    assert (
        densepose_results(make_output(1, 14)[torch.zeros(1, dtype=torch.bool)], torch.zeros(0, 4))
        == []
    )


def test_a_box_without_area_is_one_pixel():
    (result,) = densepose_results(make_output(1, 14), torch.tensor([[5.0, 5, 5.4, 5]]))
    assert result.labels.shape == (1, 1)


@pytest.mark.slow
def test_a_large_box_is_worked_on_in_bands_of_rows(monkeypatch):
    output = make_output(3, 14, sigma_2=25, fine_segm_confidence=1)
    boxes = torch.tensor([[0.0, 0, 9, 9], [3, 3, 60, 80], [0, 0, 10, 10]])
    at_once = densepose_results(output, boxes)
    for pixels in (1, 100, 57 * 3 + 1):
        monkeypatch.setattr(postprocessing, "PIXELS_AT_ONCE", pixels)
        for one, other in zip(at_once, densepose_results(output, boxes)):
            for name in ("labels", "uv", "sigma_2", "fine_segm_confidence"):
                assert torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("value", [-0.3, 0.0, 0.5, 1.0, 1.7])
def test_eight_bit_files_clamp_and_truncate(value):
    output = make_output(1, 4)
    output.u.fill_(value)
    (result,) = densepose_results(output, torch.tensor([[0.0, 0, 12, 12]]))
    i, u, _ = result.iuv_uint8()
    assert torch.equal(i, result.labels)
    body = i > 0
    assert body.any()
    assert (u[body] == int(min(max(value, 0), 1) * 255)).all()
    assert (u[~body] == 0).all()


@pytest.mark.parametrize("pixels_at_once", [400_000, 1000])
def test_results_own_their_memory(monkeypatch, pixels_at_once):
    """A result keeps no other alive, whether people are processed in groups or in bands."""
    monkeypatch.setattr(postprocessing, "PIXELS_AT_ONCE", pixels_at_once)
    output = make_output(4, 8, sigma_2=25, **dict.fromkeys(CONFIDENCES, 1))
    boxes = torch.tensor([[0, 0, 30, 50], [5, 5, 20, 90], [0, 0, 300, 7], [0, 0, 1, 1]]).float()
    for result in densepose_results(output, boxes):
        for value in vars(result).values():
            if value is not None:
                assert value.untyped_storage().nbytes() == value.nbytes


def test_embeddings_of_pixels_are_those_that_vertices_are_found_by():
    torch.manual_seed(0)
    vertices = F.normalize(torch.randn(50, 3))
    output = DensePoseEmbeddingOutput(
        torch.randn(2, 2, 8, 8),
        torch.randn(2, 3, 8, 8),
        meshes=MeshesOfPeople({"ball": vertices}, torch.zeros(2, dtype=torch.int64)),
    )
    boxes = torch.tensor([[0.0, 0, 20, 30], [5, 5, 17, 9]])
    for result in densepose_results(output, boxes, with_embeddings=True):
        assert result.embedding.shape == (3, *result.vertices.shape)
        nearest = torch.einsum("dhw,nd->nhw", result.embedding, vertices).argmax(0)
        on_body = result.labels > 0
        assert on_body.any()
        assert torch.equal(result.vertices[on_body].long(), nearest[on_body])
    assert densepose_results(output, boxes)[0].embedding is None
    with pytest.raises(ValueError, match="with_embeddings, but this model has charts"):
        densepose_results(make_output(2, 8), boxes, with_embeddings=True)
