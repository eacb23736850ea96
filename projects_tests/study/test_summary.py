"""Rows of tables: means over seeds, and intervals."""

from pathlib import Path

import numpy as np
import pytest

from densepose_ext.study.measures import confusions
from densepose_ext.study.outcome import Outcome, digest
from densepose_ext.study.page import table_of
from densepose_ext.study.summary import summarize
from densepose_ext.surface.parts import FINE_MIRROR, FINE_PART_NAMES

AP = "GPS AP"


def outcome(run, seed, ap, resampled, found=True):
    shares = {"right_part": 0.5, "within_10cm": 0.25, "mean_gps": 0.4}
    measures = {
        "metrics": {"gps": {"AP": ap, "AP50": ap}, "gpsm": {"AP": ap}},
        "resampled": {"AP": list(resampled), "mean_gps": [0.4] * 500},
        "parts": {
            **(shares if found else dict.fromkeys(shares)),
            "curve": {"auc10": 0.1, "auc30": None},
            "by_group": {"head": {"within_10cm": 0.3 if found else None}},
        },
    }
    return Outcome(run, seed, Path("of"), measures)


def test_a_difference_is_paired_by_picture():
    """Runs whose AP varies alike over pictures differ surely, though their intervals overlap."""
    noise = np.random.default_rng(0).normal(0, 0.05, 500)
    first, other = summarize(
        [outcome("a", 1, 0.3, 0.3 + noise), outcome("b", 1, 0.32, 0.32 + noise)]
    )
    assert first.scores[AP].interval[1] > other.scores[AP].interval[0]
    assert other.scores[AP].difference == pytest.approx(2)
    assert other.scores[AP].difference_interval == pytest.approx((2, 2))
    assert first.scores[AP].difference_interval is None


def test_seeds_widen_intervals():
    same = np.full(500, 0.3)
    (one,) = summarize([outcome("a", 1, 0.3, same)])
    (two,) = summarize([outcome("a", 1, 0.3, same), outcome("a", 2, 0.4, same + 0.1)])
    assert one.scores[AP].interval == pytest.approx((30, 30))
    assert two.scores[AP].interval == pytest.approx((30, 40))
    assert two.scores[AP].value == pytest.approx(35)
    assert two.seeds == [1, 2]


def test_a_model_that_finds_nobody():
    rows = summarize(
        [outcome("a", 1, 0.3, np.full(500, 0.3)), outcome("b", 1, -1.0, np.zeros(500), found=False)]
    )
    headings, cells = table_of(rows)
    row = dict(zip(headings, cells[1]))
    assert row["GPS AP"] == "0.0 [0.0, 0.0]"
    assert cells[1][headings.index("GPS AP") + 1] == "-30.0 [-30.0, -30.0]"
    assert row["right part"] == row["AUC30"] == "-"
    assert summarize([]) == []


def test_what_points_are_taken_for():
    table = np.zeros((24, 25), int)
    left, back = 1, FINE_PART_NAMES.index("torso back")
    hand = FINE_PART_NAMES.index("left hand")
    table[back - 1, back] = 4
    table[back - 1, FINE_PART_NAMES.index("torso front")] = 1
    table[hand - 1, FINE_MIRROR[hand]] = 2
    table[hand - 1, 0] = 2
    table[hand - 1, back] = left
    assert confusions(table) == pytest.approx(
        {
            "right": 0.4,
            "front and back exchanged": 0.1,
            "left and right exchanged": 0.2,
            "background": 0.2,
            "another part": 0.1,
        }
    )


def test_a_folder_belongs_to_settings():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
