"""Sound goes along: as it is, in step with the pictures, and no further than they do."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from densepose_ext.video import VideoReader, VideoWriter  # noqa: E402
from projects_tests.video.moving_square import frame  # noqa: E402

RATE, HERTZ = 25, 32_000


def write_talkie(path, frames=50, codec="aac", start=0.0):
    """A video whose pictures start late, with a tone that rises."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=RATE)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        sounds = container.add_stream(codec, rate=HERTZ)
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(frame(number), format="bgr24")
            picture.pts = round(1000 * (start + number / RATE))
            picture.time_base = Fraction(1, 1000)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        times = np.arange(round(HERTZ * (frames / RATE + start))) / HERTZ
        tone = (8000 * np.sin(2 * np.pi * 300 * times * (1 + times))).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        sound.rate, sound.pts = HERTZ, 0
        container.mux(sounds.encode(sound))
        container.mux(sounds.encode(None))
    return path


def packets(path):
    """(seconds since the first picture, bytes) of the sound."""
    with av.open(str(path)) as container:
        pictures = container.streams.video[0]
        first = float(pictures.start_time * pictures.time_base)
        return [
            (float(p.pts * p.time_base) - first, bytes(p))
            for p in container.demux(container.streams.audio[0])
            if p.pts is not None
        ]


def copy(source, out, frames=None):
    with VideoReader(source) as video, VideoWriter(out, video.rate, source) as writer:
        for number, shown in enumerate(video):
            if frames is None or number < frames:
                writer.write(shown.picture, shown.time)
    return writer


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("start", [0.0, 0.6])
def test_the_same_sound_at_the_same_time(tmp_path, ending, start):
    source = write_talkie(tmp_path / "talkie.mp4", start=start)
    writer = copy(source, tmp_path / f"copy{ending}")
    assert not writer.silence
    before, after = packets(source), packets(writer.path)
    heard = [(time, data) for time, data in before if 0.03 <= time < 49 / RATE]
    assert len(heard) > 40
    found = {data: time for time, data in after}
    for time, data in heard:
        assert found[data] == pytest.approx(time, abs=0.03)


def test_it_ends_with_the_pictures(tmp_path):
    source = write_talkie(tmp_path / "talkie.mp4")
    writer = copy(source, tmp_path / "short.mp4", frames=20)
    times = [time for time, _ in packets(writer.path)]
    assert 0.7 < max(times) <= 20 / RATE + 0.04  # a packet of AAC is .03 s, and its first is early


#: Refused by hand, by the header, and before there is one.
@pytest.mark.parametrize(
    ("codec", "ending"), [("pcm_s16le", ".mp4"), ("flac", ".mov"), ("adpcm_ms", ".mp4")]
)
def test_sound_that_the_file_cannot_hold_is_left_out_and_said(tmp_path, codec, ending):
    kind = ".avi" if codec == "adpcm_ms" else ".mkv"
    source = write_talkie(tmp_path / f"talkie{kind}", codec=codec)
    writer = copy(source, tmp_path / f"copy{ending}")
    assert writer.silence == f"sound as {codec} has no place in {ending}, .mkv takes most"
    with av.open(str(writer.path)) as container:
        assert not container.streams.audio
        assert sum(1 for _ in container.decode(video=0)) == 50
    if codec != "adpcm_ms":
        assert not copy(source, tmp_path / "copy.mkv").silence
        assert packets(tmp_path / "copy.mkv")


def test_damaged_sound_does_not_end_the_pictures(tmp_path):
    source = write_talkie(tmp_path / "talkie.mkv")
    content = bytearray(source.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(content) // 2, len(content), 300):
        content[place] = rng.integers(256)
    source.write_bytes(content)
    writer = copy(source, tmp_path / "copy.mkv")
    assert writer.frames >= 10
    with VideoReader(writer.path) as video:
        assert sum(1 for _ in video) == writer.frames


def test_a_silent_video_stays_silent(tmp_path):
    with VideoWriter(tmp_path / "silent.mp4", RATE) as writer:
        for number in range(5):
            writer.write(frame(number))
    writer = copy(tmp_path / "silent.mp4", tmp_path / "copy.mp4")
    assert not writer.silence
    with av.open(str(writer.path)) as container:
        assert not container.streams.audio


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    source = write_talkie(tmp_path / "talkie.mp4", frames=5)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OSError, match=r"folder\.mp4 cannot be written"):
        copy(source, tmp_path / "folder.mp4")
