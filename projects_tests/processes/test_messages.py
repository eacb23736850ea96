import os

import pytest

from densepose_ext.processes.messages import counted, one_line


def test_an_error_of_a_file_begins_with_its_name(tmp_path):
    with pytest.raises(OSError) as error:  # noqa: PT011 (its message is what is tested)
        tmp_path.read_bytes()
    assert one_line(error.value) == f"{tmp_path}: Is a directory"
    with pytest.raises(OSError) as error:  # noqa: PT011
        os.rename(tmp_path / "a", tmp_path / "b")
    assert one_line(error.value) == f"{tmp_path}/a, {tmp_path}/b: No such file or directory"


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError) as error:
        os.makedirs(tmp_path / "a", exist_ok=True)
    assert one_line(error.value) == f"{tmp_path}/a: it is a file, expected a folder"


def test_others_are_one_line():
    assert one_line(ValueError("one\n  two")) == "one two"
    assert one_line(OSError("no room")) == "no room"


def test_numbers_of_things():
    found = [counted(number, thing) for number in (0, 1, 2) for thing in ("person", "other file")]
    assert found == [
        *("0 people", "0 other files", "1 person", "1 other file", "2 people", "2 other files")
    ]
