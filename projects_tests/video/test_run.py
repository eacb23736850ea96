"""The command, with a tiny random model."""

import threading

import numpy as np
import pytest
import torch

from densepose_ext import People
from densepose_ext.commands.main import main
from densepose_ext.commands.predict import PRESET_NAMES
from densepose_ext.commands.video import add_arguments
from densepose_ext.prediction.presets import PRESETS
from densepose_ext.video import SurfaceSmoother, VideoReader, VideoWriter
from densepose_ext.video import run as run_module
from densepose_ext.video.run import DRAWINGS, draw_video
from projects_tests.tiny_model import CONFIG, tiny_model
from projects_tests.video.moving_square import number_of, write_video
from projects_tests.visualization.people import flat_person


class OnePerson:
    """A stand-in for the network: one person who moves to the right; may be interrupted."""

    lanes = 1

    def __init__(self, interrupted_at=None):
        self.interrupted_at, self.calls = interrupted_at, 0

    def batch(self, pictures):
        if self.calls == self.interrupted_at:
            raise KeyboardInterrupt
        self.calls += 1
        box = [2 + self.calls, 4, 22 + self.calls, 34]
        size = pictures[0].shape[:2]
        return [People([flat_person(box, 1, 0.5, 0.5, score=0.9)], size) for _ in pictures]


def draw(source, out, predictor, *arguments, **options):
    with VideoReader(source) as video, VideoWriter(out, video.rate) as writer:
        return draw_video(video, writer, predictor, *arguments, **options)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, path)
    return str(path)


def test_the_command(tmp_path, weights, library, capsys):
    source, out = write_video(tmp_path / "in.avi", 6), tmp_path / "new" / "out.mp4"
    options = ["--model", CONFIG, "--weights", weights, "--device", "cpu", "--min-score", "0"]
    assert (
        main(["video", str(source), "--out", str(out), "--smooth", "--frames", "3", *options]) == 0
    )
    first, second = capsys.readouterr().out.splitlines()
    codec = {"PyAV": "H.264", "OpenCV": "mp4v"}[library]
    assert first.startswith(f"{out}: 3 frames, 25 a second, {codec}; ")
    assert second.startswith("ms a frame: decode ")
    for name in ("network", "track", "draw", "encode"):
        assert f" {name} " in second
    with VideoReader(out) as video:
        assert [frame.picture.shape for frame in video] == [(48, 64, 3)] * 3


def test_what_cannot_be_used(tmp_path, capsys):
    source = write_video(tmp_path / "in.avi", 2)

    def fails(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err

    out = tmp_path / "out.mp4"
    assert "is an input; write" in fails("video", source, "--out", source)
    assert "--frames 0: expected more" in fails("video", source, "--out", out, "--frames", 0)
    assert "none.mp4" in fails("video", tmp_path / "none.mp4", "--out", out)
    assert "weight is 1" in fails("video", source, "--out", out, "--smooth", 1)
    assert "videos are written as" in fails("video", source, "--out", tmp_path / "out.gif")
    message = fails("predict", source, "--out", tmp_path / "folder")
    assert f"{source} is a video: densepose-ext video {source} --out" in message
    assert not (tmp_path / "folder").exists()
    assert not out.exists()


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_drawings(tmp_path, drawing):
    source = write_video(tmp_path / "in.avi", 4)
    done = draw(source, tmp_path / "out.mp4", OnePerson(), drawing)
    assert (done.frames, done.people, done.interrupted) == (4, 1, False)
    with VideoReader(tmp_path / "out.mp4") as video:
        pictures = [frame.picture.astype(int) for frame in video]
    with VideoReader(source) as video:
        given = [frame.picture.astype(int) for frame in video]
    inside, outside = (slice(8, 30), slice(12, 20)), (slice(40, 48), slice(40, 64))
    assert np.abs(pictures[2] - given[2])[inside].mean() > 5
    if drawing not in ("iuv", "iuv-bgr", "control", "control-parula"):  # these are of people alone
        assert np.abs(pictures[2] - given[2])[outside].mean() < 5


def test_limits_and_the_drawings_of_the_command(tmp_path):
    import argparse

    source = write_video(tmp_path / "in.avi", 12)
    assert draw(source, tmp_path / "a.mp4", OnePerson(), frames=5).frames == 5
    assert draw(source, tmp_path / "b.mp4", OnePerson(), seconds=0.2).frames == 5
    assert draw(source, tmp_path / "c.mp4", OnePerson()).frames == 12
    with pytest.raises(ValueError, match="drawing 'nonsense'; expected one of parts"):
        draw(source, tmp_path / "d.mp4", OnePerson(), "nonsense")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (option,) = (a for a in parser._actions if a.dest == "draw")
    assert tuple(option.choices) == tuple(DRAWINGS)


def test_an_interrupted_run_leaves_a_playable_file(tmp_path, library, monkeypatch):
    monkeypatch.setitem(run_module.DRAWINGS, "parts", lambda picture, *_: picture)
    source, out = write_video(tmp_path / "in.avi", 30), tmp_path / "out.mp4"
    done = draw(source, out, OnePerson(interrupted_at=15), smoother=SurfaceSmoother())
    assert done.interrupted
    assert 5 <= done.frames <= 15
    with VideoReader(out) as video:
        numbers = [number_of(frame.picture) for frame in video]
    assert numbers == list(range(done.frames))


def test_stages_run_at_once_and_few_frames_wait(tmp_path, monkeypatch):
    source = write_video(tmp_path / "in.avi", 30)
    threads, waiting, most = set(), 0, 0
    lock = threading.Lock()

    class Counted(VideoReader):
        def __iter__(self):
            nonlocal waiting, most
            for frame in super().__iter__():
                with lock:
                    threads.add(("read", threading.get_ident()))
                    waiting += 1
                    most = max(most, waiting)
                yield frame

    def painted(picture, people, identities):
        threads.add(("draw", threading.get_ident()))
        return picture

    class Counting(VideoWriter):
        def write(self, picture, time=None):
            nonlocal waiting
            super().write(picture, time)
            with lock:
                threads.add(("write", threading.get_ident()))
                waiting -= 1

    monkeypatch.setitem(run_module.DRAWINGS, "parts", painted)
    with Counted(source) as video, Counting(tmp_path / "out.mp4") as writer:
        assert draw_video(video, writer, OnePerson()).frames == 30
    assert len(threads) == 3
    assert len({thread for _, thread in threads} | {threading.get_ident()}) == 4
    assert most <= 10


def test_a_failure_while_writing_is_told(tmp_path, monkeypatch):
    source = write_video(tmp_path / "in.avi", 12)

    def full(self, picture, time=None):
        raise OSError("no space left")

    monkeypatch.setattr(VideoWriter, "write", full)
    with pytest.raises(OSError, match="no space left"):
        draw(source, tmp_path / "out.mp4", OnePerson())


def test_a_preset_in_another_size(tmp_path, weights):
    source, out = write_video(tmp_path / "in.avi", 3), tmp_path / "out.mp4"
    more = ["--model", CONFIG, "--weights", weights, "--device", "cpu", "--min-score", "0"]
    arguments = ["video", str(source), "--out", str(out), "--preset", "viton", "--size", "40x60"]
    assert main([*arguments, "--frames", "2", *more]) == 0
    with VideoReader(out) as video:
        assert [frame.picture.shape for frame in video] == [(60, 40, 3)] * 2


def test_names_of_presets():
    assert tuple(PRESETS) == PRESET_NAMES
    assert {preset.drawing for preset in PRESETS.values()} <= set(DRAWINGS)
