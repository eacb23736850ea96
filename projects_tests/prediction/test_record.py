"""The record of a run: valid at any time, and sufficient to resume."""

import json

import pytest

from densepose_ext.prediction.record import PICTURES_FILE, RESULTS_FILE, RunRecord

SETTINGS = {"model": "m", "min_score": 0.5}


def entries(image_id: int, count: int) -> list[dict]:
    return [{"image_id": image_id, "n": n} for n in range(count)]


def add(record: RunRecord, number: int, count: int) -> None:
    record.add(f"é{number}.jpg", number, (480, 640), count, entries(number, count))


def results(folder) -> list[dict]:
    return json.loads((folder / RESULTS_FILE).read_bytes())


def test_results_are_whole_after_every_picture(tmp_path):
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        assert results(tmp_path) == []
        expected = []
        for number, count in enumerate([0, 2, 0, 1, 3]):
            add(record, number, count)
            expected += entries(number, count)
            assert results(tmp_path) == expected
    lines = [json.loads(line) for line in (tmp_path / PICTURES_FILE).read_text().splitlines()]
    assert lines[0] == {"settings": SETTINGS}
    place = lines[2].pop("results")
    picture = {"id": 1, "file_name": "é1.jpg", "width": 640, "height": 480}
    assert lines[2] == picture | {"people": 2, "file": None}
    text = (tmp_path / RESULTS_FILE).read_text()[slice(*place)]
    assert [json.loads(entry) for entry in text.split(",\n")] == entries(1, 2)


def test_a_broken_run_goes_on(tmp_path):
    """Interrupted at every byte that the last picture writes."""
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        add(record, 1, 2)
    before = {name: (tmp_path / name).read_bytes() for name in (PICTURES_FILE, RESULTS_FILE)}
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        add(record, 2, 1)
    after = {name: (tmp_path / name).read_bytes() for name in before}
    start = len(before[RESULTS_FILE]) - len(b"\n]\n")
    states = [
        (after[RESULTS_FILE][:end], before[PICTURES_FILE])
        for end in range(start, len(after[RESULTS_FILE]) + 1)
    ]
    states += [
        (after[RESULTS_FILE], after[PICTURES_FILE][:end])
        for end in range(len(before[PICTURES_FILE]), len(after[PICTURES_FILE]))
    ]
    for of_results, of_pictures in states:
        (tmp_path / RESULTS_FILE).write_bytes(of_results)
        (tmp_path / PICTURES_FILE).write_bytes(of_pictures)
        with RunRecord(tmp_path, SETTINGS, results=True) as record:
            assert list(record.done) == ["é1.jpg"]
            assert results(tmp_path) == entries(1, 2)
            add(record, 2, 1)
        assert {name: (tmp_path / name).read_bytes() for name in after} == after


def test_a_picture_taken_again_keeps_its_entries(tmp_path):
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        for _ in range(2):
            add(record, 1, 2)
        add(record, 2, 1)
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        add(record, 1, 2)
        assert len(record.done) == 2
    assert results(tmp_path) == entries(1, 2) + entries(2, 1)


def test_entries_wanted_later(tmp_path):
    with RunRecord(tmp_path, SETTINGS, results=False) as record:
        add(record, 1, 2)
    assert not (tmp_path / RESULTS_FILE).exists()
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        assert record.done["é1.jpg"]["results"] is None
        add(record, 1, 2)
    assert results(tmp_path) == entries(1, 2)


def test_results_that_were_removed_are_made_again(tmp_path):
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        add(record, 1, 2)
        add(record, 2, 0)
    (tmp_path / RESULTS_FILE).unlink()
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        assert [line["results"] for line in record.done.values()] == [None, None]
        add(record, 1, 2)
    assert results(tmp_path) == entries(1, 2)


def test_unreadable_pictures(tmp_path):
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        record.fail("a.jpg", 1, "damaged")
        record.fail("b.jpg", 2, "damaged")
        record.add("b.jpg", 2, (1, 1), 0, [])
    with RunRecord(tmp_path, SETTINGS, results=True) as record:
        assert list(record.failed) == ["a.jpg"]
        assert list(record.done) == ["b.jpg"]
        assert record.failed["a.jpg"]["error"] == "damaged"


@pytest.mark.parametrize("with_results", [True, False])
def test_several_processes(tmp_path, with_results):
    for part in range(3):
        with RunRecord(tmp_path, SETTINGS, with_results, part) as record:
            for number in range(part, 9, 3):
                add(record, number, number % 4)
            record.fail(f"bad{part}", 90 + part, "damaged")
    for _ in range(2):
        with RunRecord(tmp_path, SETTINGS, with_results) as record:
            record.absorb_parts()
            assert len(record.done) == 9
            assert len(record.failed) == 3
        names = {path.name for path in tmp_path.iterdir()}
        assert names == ({PICTURES_FILE, RESULTS_FILE} if with_results else {PICTURES_FILE})
        if with_results:
            found = sorted(results(tmp_path), key=lambda entry: entry["image_id"])
            assert found == [entry for n in range(9) for entry in entries(n, n % 4)]


def test_entries_that_other_processes_did_not_write_are_wanted(tmp_path):
    with RunRecord(tmp_path, SETTINGS, False, part=1) as record:
        add(record, 1, 2)
    with RunRecord(tmp_path, SETTINGS, True) as record:
        record.absorb_parts()
        assert record.done["é1.jpg"]["results"] is None
        add(record, 1, 2)
    assert results(tmp_path) == entries(1, 2)


def test_taking_over_can_be_broken_off(tmp_path, monkeypatch):
    with RunRecord(tmp_path, SETTINGS, True, 1) as record:
        for number in range(4):
            add(record, number, 2)
    with monkeypatch.context() as patch, RunRecord(tmp_path, SETTINGS, True) as record:
        add_one = record.add
        taken = []

        def add_two(*arguments):
            if len(taken) == 2:
                raise KeyboardInterrupt
            taken.append(add_one(*arguments))

        patch.setattr(record, "add", add_two)
        with pytest.raises(KeyboardInterrupt):
            record.absorb_parts()
    with RunRecord(tmp_path, SETTINGS, True) as record:
        record.absorb_parts()
    assert results(tmp_path) == [entry for n in range(4) for entry in entries(n, 2)]


def test_other_settings_are_refused(tmp_path):
    with RunRecord(tmp_path, SETTINGS, True):
        pass
    with pytest.raises(ValueError, match=r"with min_score 0\.5, not 0\.7; choose another folder"):
        RunRecord(tmp_path, {**SETTINGS, "min_score": 0.7}, True)


@pytest.mark.parametrize("content", ['["a.jpg"]\n', "# pictures\n", '{"a": 1}\n'])
def test_a_list_of_somebody_else_is_left_alone(tmp_path, content):
    (tmp_path / PICTURES_FILE).write_text(content)
    with pytest.raises(ValueError, match="is not of a run; choose another folder"):
        RunRecord(tmp_path, SETTINGS, True)
    assert (tmp_path / PICTURES_FILE).read_text() == content


def test_copies_of_a_record_are_left_alone(tmp_path):
    with RunRecord(tmp_path, SETTINGS, True) as record:
        add(record, 1, 2)
    copy = tmp_path / PICTURES_FILE.replace(".", ".bak.")
    copy.write_text("mine")
    with RunRecord(tmp_path, SETTINGS, True) as record:
        record.absorb_parts()
    assert copy.read_text() == "mine"


def test_a_record_that_cannot_be_opened_keeps_no_file_open(tmp_path, monkeypatch):
    opened = []

    def remember(record):
        opened.append(record._pictures)
        raise PermissionError(13, "Permission denied", RESULTS_FILE)

    monkeypatch.setattr(RunRecord, "_open_results", remember)
    with pytest.raises(PermissionError, match=RESULTS_FILE):
        RunRecord(tmp_path, SETTINGS, True)
    assert opened[0].closed


def test_files_of_somebody_else_are_left_alone(tmp_path):
    (tmp_path / RESULTS_FILE).write_text("[1, 2]")
    with pytest.raises(ValueError, match="choose another folder"):
        RunRecord(tmp_path, SETTINGS, True)
    assert (tmp_path / RESULTS_FILE).read_text() == "[1, 2]"
    (tmp_path / PICTURES_FILE).write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="not of a run"):
        RunRecord(tmp_path, SETTINGS, True)
    assert (tmp_path / PICTURES_FILE).read_text() == '{"a": 1}\n'
