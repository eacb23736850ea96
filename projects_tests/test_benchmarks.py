"""benchmarks/: what is recorded and written into documents, and when a ratio has slipped."""

import json
import sys

import pytest

from projects_tests.reference import ROOT


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in ("run", "timing", "measured_files", "tables"):
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


def test_the_model_zoo_has_the_measured_tables(scripts):
    from tables import DOCUMENT, updated

    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == updated(text), "run python benchmarks/tables.py"


def test_measured_tables(scripts, tmp_path):
    from measured_files import read, save
    from tables import tables, updated

    rows = [
        {"model": "M", "precision": "fp32", "ms": {"backbone": 3.04, "box": 20.4}, "in_all": 25},
        {"model": "M", "precision": "bf16", "ms": {"backbone": 3.04, "look": 1}, "in_all": 5},
    ]
    with pytest.raises(ValueError, match="machine"):
        save(tmp_path / "a.json", "stages", rows)
    save(tmp_path / "a.json", "stages", rows, "A machine")
    save(tmp_path / "a.json", "memory", [{"what": "work", "megabytes": 1234.5}])
    save(tmp_path / "a.json", "stages", [{**rows[1], "in_all": 4.04}, {**rows[1], "model": "N"}])
    assert [row["model"] for row in read(tmp_path / "a.json")["stages"]["rows"]] == ["M", "M", "N"]
    lines = [line.replace(" ", "") for line in tables(tmp_path).splitlines()]
    assert "|model|precision|backbone|box|look|msinall|pictures/s|" in lines
    assert "|M|fp32|3.0|20||25|40.0|" in lines
    assert "|M|bf16|3.0||1.0|4.0|247.5|" in lines
    assert "|work|1,234|" in lines
    with pytest.raises(ValueError, match="between which"):
        updated("nothing", tmp_path)
