"""benchmarks/: what is recorded, and when a ratio has slipped."""

import json
import sys

import pytest

from projects_tests.reference import ROOT


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in ("run", "timing"):
        sys.modules.pop(name, None)


def test_reports_are_recorded(scripts, tmp_path, monkeypatch, capsys):
    import timing

    monkeypatch.setenv(timing.RECORD_VARIABLE, str(tmp_path / "rows"))
    timing.report("work, 3% of it", {"plain": 0.2, "ours": 0.05}, "plain", per=2)
    timing.report("other work", {"plain": 1.0}, "plain")
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["plain", "ours", "plain"]
    assert rows[1]["ms"] == pytest.approx(25)
    assert rows[1]["ratio"] == pytest.approx(0.25)
    assert "ours" in capsys.readouterr().out


def test_a_ratio_that_has_slipped(scripts):
    from run import key, slipped

    row = {"benchmark": "b", "title": "work, 3%", "name": "ours", "baseline": "plain", "ratio": 0.5}
    assert slipped([row], {key({**row, "title": "work, 4%"}): 0.4}) == []
    assert slipped([row], {}) == []
    (line,) = slipped([row], {key(row): 0.3})
    assert line == "b: work: ours: 0.50 of 'plain', it was 0.30"


def test_every_comparison_is_run(scripts):
    from run import QUICK, names

    assert {*QUICK} <= {*names()}
    assert len(names()) > 8
