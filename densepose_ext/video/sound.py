"""The sound of one video, copied into another as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .pyav import av


class Sound:
    """The first sound track of a video, in step with its pictures.

    Attributes:
        stream: PyAV's stream, for ``add_stream_from_template``; None where there is no sound.
    """

    def __init__(self, source: str | os.PathLike):
        """
        Args:
            source: a video file that PyAV can read.
        """
        self._container = av.open("file:" + os.fspath(source))
        pictures, sounds = self._container.streams.video, self._container.streams.audio
        # A codec that FFmpeg does not know cannot be written either.
        self.stream = next((one for one in sounds if one.codec_context is not None), None)
        # Pictures are written from 0 on, whenever they start in their file.
        start = pictures[0].start_time if pictures else None
        self._start = float(start * pictures[0].time_base) if start else 0.0
        self._packets = self._container.demux(self.stream) if self.stream else iter(())
        self._next: av.Packet | None = None
        self._given = -1

    def until(self, time: float) -> Iterator[av.Packet]:
        """What has not been given yet of the sound before a moment; ends early where it is damaged.

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
                # The last one is empty; what is before the first picture has no place, nor has what
                # jumps back in time, as in files that were joined.
                if packet.dts is None or self._shifted(packet) < 0 or packet.dts <= self._given:
                    continue
                self._given = packet.dts
                self._next = packet
            if self._next.dts * self._next.time_base >= time:
                return
            packet, self._next = self._next, None
            yield packet

    def _shifted(self, packet: av.Packet) -> float:
        """Moves a packet to the time since the first picture; returns it in seconds."""
        shift = round(self._start / packet.time_base)
        packet.dts -= shift
        if packet.pts is not None:
            packet.pts -= shift
        return packet.dts * packet.time_base

    def close(self) -> None:
        """Lets go of the file."""
        self._container.close()
