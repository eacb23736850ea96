"""Files appear whole or not at all."""

import os

import pytest
import torch

from densepose_ext.files.atomic import replacing, write_whole


def test_replacing_writes_the_new_file(tmp_path):
    path = tmp_path / "report"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_keeps_the_old_file_after_an_error(tmp_path):
    path = tmp_path / "report"
    path.write_text("old")

    def fail_halfway():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_whole_file_takes_the_place_of_what_a_killed_process_left(tmp_path):
    path = tmp_path / "image.jpg"
    write_whole(path, b"first")
    (left,) = tmp_path.iterdir()
    assert left == path
    (tmp_path / ".image.jpg.tmp").write_bytes(b"half of")  # a process was killed here
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path):
    path = tmp_path / "nowhere" / "a.png"
    for write in (write_whole, _write_replacing):
        with pytest.raises(FileNotFoundError) as error:
            write(path, b"content")
        assert error.value.filename == str(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory") as error:
        _write_replacing(tmp_path / "folder", b"content")
    assert error.value.filename == str(tmp_path / "folder")
    assert error.value.filename2 is None


def _write_replacing(path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_the_error_of_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    with (
        open("/dev/full", "wb", 0) as full,
        pytest.raises(OSError, match="No space left on device") as error,
        replacing(path),
    ):
        full.write(b"after")
    assert error.value.filename == str(path)
    with (
        pytest.raises(OSError, match="No space left on device") as error,
        replacing(path),
        open("/dev/full", "wb") as full,
    ):
        torch.save(torch.zeros(9), full)  # raises RuntimeError
    assert error.value.filename == str(path)
    (tmp_path / ".a.png.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: .*a\.png'"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
