"""Copies the sound of one video into another, without encoding it again."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..files.pyav import av


class Sound:
    """The first audio track of a video, in sync with its pictures.

    Attributes:
        stream: PyAV's stream, for ``add_stream_from_template``; None if there is no sound.
    """

    def __init__(self, source: str | os.PathLike):
        """
        Args:
            source: a video file that PyAV can read.
        """
        self._container = av.open("file:" + os.fspath(source))
        pictures, sounds = self._container.streams.video, self._container.streams.audio
        # A codec that FFmpeg does not know cannot be written.
        self.stream = next((one for one in sounds if one.codec_context is not None), None)
        # Written videos start at 0, whenever the source starts.
        start = pictures[0].start_time if pictures else None
        self._start = float(start * pictures[0].time_base) if start else 0.0
        self._packets = self._container.demux(self.stream) if self.stream else iter(())
        self._next: av.Packet | None = None
        self._given = -1

    def until(self, time: float) -> Iterator[av.Packet]:
        """Yields the packets not yet given, up to a time; ends early if the sound is damaged.

        Args:
            time: seconds since the first picture.
        """
        while True:
            if self._next is None:
                try:
                    packet = next(self._packets, None)
                except av.error.FFmpegError:
                    packet = None
                if packet is None:
                    return
                # Left out: the empty last packet, sound before the first picture, and jumps back in
                # time, as in concatenated files.
                if packet.dts is None or self._shifted(packet) < 0 or packet.dts <= self._given:
                    continue
                self._given = packet.dts
                self._next = packet
            if self._next.dts * self._next.time_base >= time:
                return
            packet, self._next = self._next, None
            yield packet

    def _shifted(self, packet: av.Packet) -> float:
        """Shifts a packet to the time since the first picture; returns that, seconds."""
        shift = round(self._start / packet.time_base)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        return packet.dts * packet.time_base

    def close(self) -> None:
        """Closes the file."""
        self._container.close()
