"""Compressed run lengths of the part masks, compared with pycocotools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from densepose_ext.data.rle import (
    paint_part_masks,
    painted_map,
    parse_runs,
    read_part_masks,
    row_runs,
)

SIDE = 256


def encode(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def part_masks(**named: dict) -> list:
    """14 entries, empty but for those given as ``part1=...``."""
    return [named.get(f"part{part}", []) for part in range(1, 15)]


def number(value: int) -> str:
    """A number as compressed run lengths have it."""
    text = ""
    while True:
        digit, value = value & 0x1F, value >> 5
        more = value != -1 if digit & 0x10 else value != 0
        text += chr(48 + (digit | (0x20 if more else 0)))
        if not more:
            return text


def painted_by_pycocotools(masks: list) -> np.ndarray:
    painted = np.zeros((SIDE, SIDE), np.uint8)
    for part, rle in enumerate(masks, start=1):
        if rle:
            painted[coco_mask.decode(rle) > 0] = part
    return painted


@st.composite
def random_mask(draw) -> np.ndarray:
    """From empty to full, from single pixels to blobs that touch the borders."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["empty", "full", "noise", "blocks", "stripes", "corners"]))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if kind == "full":
        mask[:] = 1
    elif kind == "noise":
        mask[:] = rng.random((SIDE, SIDE)) < rng.choice([0.001, 0.1, 0.9, 0.999])
    elif kind == "blocks":
        for _ in range(rng.integers(1, 6)):
            (top, bottom), (left, right) = np.sort(rng.integers(0, SIDE + 1, (2, 2)))
            mask[top:bottom, left:right] = 1
    elif kind == "stripes":
        mask[:: rng.integers(1, 40), :] = 1
    elif kind == "corners":
        mask[[0, 0, -1, -1], [0, -1, 0, -1]] = rng.integers(0, 2, 4)
    return mask


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), random_mask()), min_size=14, max_size=14))
def test_painting_is_that_of_pycocotools(pictures):
    masks = [encode(mask) if mask is not None else [] for mask in pictures]
    np.testing.assert_array_equal(paint_part_masks(masks), painted_by_pycocotools(masks))


def test_later_masks_lie_over_earlier_ones():
    whole = np.ones((SIDE, SIDE), np.uint8)
    half = whole.copy()
    half[:, 128:] = 0
    painted = paint_part_masks(part_masks(part3=encode(whole), part9=encode(half)))
    assert set(np.unique(painted[:, :128])) == {9}
    assert set(np.unique(painted[:, 128:])) == {3}
    painted = paint_part_masks(part_masks(part3=encode(half), part9=encode(whole)))
    assert set(np.unique(painted)) == {9}


def test_runs_go_down_the_columns():
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10, 3] = 1
    painted = paint_part_masks(part_masks(part7=encode(mask)))
    assert painted[10, 3] == 7
    assert painted.sum() == 7


@pytest.mark.parametrize("empty", [[], None, {}, ""])
def test_empty_masks_paint_nothing(empty):
    parts, runs, mask = read_part_masks([empty] * 14)
    assert len(parts) == len(runs) == len(mask) == 0
    assert not paint_part_masks([empty] * 14).any()


def test_counts_may_be_bytes():
    mask = np.eye(SIDE, dtype=np.uint8)
    rle = coco_mask.encode(np.asfortranarray(mask))
    assert isinstance(rle["counts"], bytes)
    np.testing.assert_array_equal(paint_part_masks(part_masks(part1=rle)), mask)


def test_a_number_may_be_written_longer_than_needed():
    rle = encode(np.ones((SIDE, SIDE), np.uint8))
    zero, full = rle["counts"][:1], rle["counts"][1:]
    assert zero == "0"
    # 0 as one digit with "more follow" (bit 5) and then a digit 0.
    longer = {"size": [SIDE, SIDE], "counts": chr(48 + 32) + "0" + full}
    assert (paint_part_masks(part_masks(part1=longer)) == 1).all()


def test_counts_may_be_a_list_of_pixels():
    rle = {"size": [SIDE, SIDE], "counts": [SIDE, 3, SIDE**2 - SIDE - 3]}
    painted = paint_part_masks(part_masks(part5=rle))
    assert painted[:3, 1].tolist() == [5, 5, 5]
    assert painted.sum() == 15


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"counts": "0"}, r"dp_masks\[0\] \(torso\): expected an RLE with size"),
        ("abc", r"dp_masks: str, expected a list of 14"),
        ([[]] * 13, r"dp_masks: 13 entries, expected a list of 14"),
        ([[]] * 15, r"dp_masks: 15 entries, expected a list of 14"),
        (part_masks(part3=[1]), r"dp_masks\[2\] \(left hand\): expected an RLE with size"),
        (part_masks(part1={"counts": "0"}), r"dp_masks\[0\] \(torso\): expected an RLE with size"),
        (
            part_masks(part1={"size": [255, 256], "counts": "0"}),
            r"dp_masks\[0\] \(torso\): expected an RLE with size \[256, 256\]",
        ),
        (part_masks(part14={"size": [256, 256]}), r"dp_masks\[13\] \(head\): expected counts"),
        (part_masks(part2={"size": [256, 256], "counts": [65.5]}), r"dp_masks\[1\].*compressed"),
        (part_masks(part2={"size": [256, 256], "counts": ""}), r"dp_masks\[1\].*compressed"),
        (part_masks(part2={"size": [256, 256], "counts": "!!"}), r"characters that do not occur"),
        (part_masks(part2={"size": [256, 256], "counts": "für"}), r"characters that do not occur"),
        (part_masks(part2={"size": [256, 256], "counts": "\ud800"}), r"surrogates not allowed"),
        (part_masks(part2={"size": [256, 256], "counts": "P"}), r"ends within a number"),
        (part_masks(part2={"size": [256, 256], "counts": "PPPPPPPP0"}), r"number beyond any mask"),
        (
            part_masks(part2={"size": [256, 256], "counts": "12"}),
            r"dp_masks\[1\] \(right hand\): runs of 3 pixels in all.*expected 65536",
        ),
    ],
)
def test_wrong_masks_are_refused(masks, message):
    for function in (read_part_masks, paint_part_masks):
        with pytest.raises(ValueError, match=message):
            function(masks)


def test_negative_runs_are_refused_though_the_sum_is_right():
    # 5, then 65536 - 4 = 65532, then -1: sums to the whole mask.
    counts = number(5) + number(65532) + number(-1)
    rle = {"size": [SIDE, SIDE], "counts": counts}
    runs, _ = parse_runs([counts.encode()])
    assert runs.tolist() == [5, 65532, -1]
    with pytest.raises(ValueError, match=r"1 of\s+them negative"):
        paint_part_masks(part_masks(part1=rle))


def test_runs_of_several_strings():
    """Of odd and even numbers of runs, and of none: each starts its differences anew."""
    rng = np.random.default_rng(0)
    strings, expected = [], []
    for count in (1, 0, 2, 3, 0, 4, 5, 11, 1, 8):
        runs = rng.integers(0, 1000, count)
        written = runs.copy()
        written[3:] -= runs[1:-2]
        strings.append("".join(map(number, written.tolist())).encode())
        expected.append(runs)
    runs, mask = parse_runs(strings)
    np.testing.assert_array_equal(runs, np.concatenate(expected))
    np.testing.assert_array_equal(mask, np.repeat(np.arange(10), [len(e) for e in expected]))


@settings(max_examples=40, deadline=None)
@given(random_mask(), st.integers(1, 14))
def test_a_map_comes_back_from_its_row_runs(picture, value):
    painted = picture * np.uint8(value)
    runs = row_runs(painted)
    assert runs.dtype == np.uint8
    np.testing.assert_array_equal(painted_map(runs), painted)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            st.text(alphabet=[chr(c) for c in range(48, 112)], max_size=40),
            st.binary(max_size=12),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_garbage_is_refused_or_is_a_mask(strings):
    """No string crashes the reader, or yields runs that do not fill the mask exactly."""
    masks = part_masks(
        **{f"part{n}": {"size": [SIDE, SIDE], "counts": s} for n, s in enumerate(strings, start=1)}
    )
    try:
        parts, runs, mask = read_part_masks(masks)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 (the same refusal, whatever it is)
            paint_part_masks(masks)
        return
    assert (runs >= 0).all()
    assert (np.bincount(mask, runs, len(parts)) == SIDE**2).all()
    np.testing.assert_array_equal(paint_part_masks(masks), painted_by_pycocotools(masks))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(random_mask(), st.data())
def test_damaged_strings_are_refused_or_are_masks(picture, data):
    counts = encode(picture)["counts"]
    place = data.draw(st.integers(0, len(counts) - 1))
    kind = data.draw(st.sampled_from(["cut", "changed", "doubled"]))
    damaged = {
        "cut": counts[:place],
        "changed": counts[:place] + chr(data.draw(st.integers(48, 111))) + counts[place + 1 :],
        "doubled": counts + counts[place:],
    }[kind]
    masks = part_masks(part5={"size": [SIDE, SIDE], "counts": damaged})
    try:
        painted = paint_part_masks(masks)
    except ValueError:
        return
    np.testing.assert_array_equal(painted, painted_by_pycocotools(masks))
