"""Videos are read and written by PyAV and by OpenCV, whole, damaged and interrupted ones."""

import os
import signal
import struct
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from densepose_ext.video import reader as reader_module
from densepose_ext.video.reader import VideoReader
from densepose_ext.video.writer import VideoWriter
from projects_tests.reference import ROOT
from projects_tests.video.moving_square import frame, number_of, write_video


def read(path) -> tuple[list, VideoReader]:
    with VideoReader(path) as video:
        return list(video), video


def codec(library: str, ending: str) -> str:
    if ending == ".avi":
        return "MJPG"
    return "H.264" if library == "PyAV" else "mp4v"


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi"])
def test_round_trip(tmp_path, library, ending):
    path = tmp_path / ("人 1" + ending)
    with VideoWriter(path, Fraction(30000, 1001)) as writer:
        for number in range(20):
            writer.write(frame(number))
    assert writer.codec == codec(library, ending)
    frames, video = read(path)
    assert [f.name for f in frames] == [f"{n:06d}" for n in range(20)]
    assert [number_of(f.picture) for f in frames] == list(range(20))
    assert video.pixels == 48 * 64
    assert frames[3].picture.shape == (48, 64, 3)
    blue, green, red = frames[3].picture[4:12, 4:12].mean((0, 1))
    assert red > 180 > 60 > max(blue, green)
    assert abs(video.rate - Fraction(30000, 1001)) < 0.01
    assert np.allclose([f.time for f in frames], np.arange(20) * 1001 / 30000, atol=2e-3)
    assert not video.problem


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (5, 7)])
def test_odd_sizes(tmp_path, library, size):
    path = tmp_path / "odd.mp4"
    with VideoWriter(path) as writer:
        writer.write(frame(3, size))
        writer.write(frame(4, size))
    frames, _ = read(path)
    expected = size if library == "PyAV" else tuple(side + side % 2 for side in size)
    assert [f.picture.shape[:2] for f in frames] == [expected] * 2


def test_uneven_times_are_kept(tmp_path):
    pytest.importorskip("av")
    times = [0.0, 0.04, 0.3, 0.31, 1.0]
    with VideoWriter(tmp_path / "uneven.mp4") as writer:
        for number, time in enumerate(times):
            writer.write(frame(number), time)
    frames, _ = read(tmp_path / "uneven.mp4")
    assert np.allclose([f.time for f in frames], times, atol=1e-3)


@pytest.mark.parametrize(("angle", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_frames_are_upright(tmp_path, monkeypatch, angle, turns):
    pytest.importorskip("av")
    path = write_video(tmp_path / "held.mp4", 3)
    content = bytearray(path.read_bytes())
    cosine, sine = round(np.cos(np.radians(angle))), round(np.sin(np.radians(angle)))
    # the 3 x 3 matrix of the track's header, in 1/65536, turns clockwise
    matrix = [cosine, sine, 0, -sine, cosine, 0, 0, 0]
    packed = struct.pack(">8i", *(65536 * m for m in matrix)) + struct.pack(">i", 1 << 30)
    place = content.rindex(b"tkhd") + 44
    assert content[place : place + 4] == struct.pack(">i", 65536)
    content[place : place + 36] = packed
    path.write_bytes(content)
    (first, *_), _ = read(path)
    red = first.picture[..., 2].astype(int) - first.picture[..., 0]
    rows, columns = np.nonzero(np.rot90(red, turns) > 100)
    assert rows.max() < 20
    assert columns.max() < 20
    monkeypatch.setattr(reader_module, "av", None)
    (other, *_), _ = read(path)
    assert other.picture.shape == first.picture.shape
    assert np.abs(other.picture.astype(int) - first.picture).mean() < 4


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_video_gives_what_it_has_and_says_so(tmp_path, library, share):
    path = write_video(tmp_path / "whole.avi", 60)
    content = path.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: int(len(content) * share)])
    frames, video = read(tmp_path / "cut.avi")
    assert 5 < len(frames) < 60
    assert [number_of(f.picture) for f in frames[:-1]] == list(range(len(frames) - 1))
    assert "cut.avi: " in video.problem
    assert "of 60 frames" in video.problem


def test_damage_within(tmp_path):
    pytest.importorskip("av")
    content = bytearray(write_video(tmp_path / "whole.mp4", 100).read_bytes())
    start = content.index(b"mdat") + 4
    for place in range(start + (len(content) - start) // 3, start + (len(content) - start) // 2):
        content[place] = 255
    (tmp_path / "damaged.mp4").write_bytes(content)
    frames, video = read(tmp_path / "damaged.mp4")
    assert 10 < len(frames) <= 100
    assert "damaged" in video.problem or "ends after" in video.problem


def test_what_is_no_video(tmp_path, library):
    (tmp_path / "text.mp4").write_text("no video at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    reason = "" if library == "OpenCV" else ": Invalid data[^:]*"
    with pytest.raises(ValueError, match=rf"text\.mp4 cannot be read as a video{reason}$"):
        VideoReader(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match=r"empty\.mp4 is empty"):
        VideoReader(tmp_path / "empty.mp4")
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(OSError, match="camera 987 cannot be opened"):
        VideoReader("987")


def test_what_cannot_be_written(tmp_path, library):
    with pytest.raises(ValueError, match=r"a\.gif: videos are written as \.mp4"):
        VideoWriter(tmp_path / "a.gif")
    with pytest.raises(ValueError, match="expected more than 0"):
        VideoWriter(tmp_path / "a.mp4", 0)
    (tmp_path / "folder.mp4").mkdir()
    with VideoWriter(tmp_path / "folder.mp4") as writer, pytest.raises(OSError, match="folder"):
        writer.write(frame(0))
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(frame(0))
        with pytest.raises(ValueError, match="frame 1 has 10 x 20 pixels; expected 64 x 48"):
            writer.write(frame(0, (20, 10)))
    assert len(read(tmp_path / "a.mp4")[0]) == 1


def test_an_exception_leaves_a_playable_file(tmp_path, library):
    def interrupted():
        with VideoWriter(tmp_path / "a.mp4") as writer:
            for number in range(7):
                writer.write(frame(number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [number_of(f.picture) for f in read(tmp_path / "a.mp4")[0]] == list(range(7))


KILLED = """
import os, signal, sys
from projects_tests.video.moving_square import frame
from densepose_ext.video.writer import VideoWriter
writer = VideoWriter(sys.argv[1], 5)
for number in range(60):
    writer.write(frame(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_a_playable_file(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "killed.mp4"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    frames, _ = read(path)
    assert len(frames) >= 10
    assert [number_of(f.picture) for f in frames] == list(range(len(frames)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_noticed(tmp_path):
    path = tmp_path / "walk.avi"  # OpenCV writes it
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"walk\.avi is not complete; is the disk full\?"):
        write_video(path, 3)
