"""Video files: H.264 in MP4, which browsers play, where PyAV is installed; else MPEG-4 part 2."""

import sys
from abc import ABC, abstractmethod
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.errors import InputError

_CONSTANT_QUALITY = '20'  # of 0 to 51; about what the eye does not tell from the original
_MOST_FRACTION = 1001  # 30000/1001 frames a second are usual
_FALLBACK = (
    'written as MPEG-4 part 2, which browsers do not play: pip install "mmext[video]" writes H.264'
)

Picture = npt.NDArray[np.uint8]


class VideoFile(ABC):
    """A video that is being written, frames of one even size."""

    @abstractmethod
    def write(self, bgr: Picture) -> None:
        """Add a frame ``[H, W, 3]``."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


def create_video(path: Path, fps: float, size_wh: tuple[int, int]) -> VideoFile:
    """Begin a video, by the best encoder that is installed.

    Args:
        path: ``.mp4``; is overwritten.
        fps: frames a second.
        size_wh: even.

    Raises:
        InputError: nothing can be written there.
    """
    if find_spec('av') is not None and _has_h264():
        return _H264File(path, fps, size_wh)
    print(f'warning: {path.name} is {_FALLBACK}', file=sys.stderr)
    return _Mpeg4File(path, fps, size_wh)


def _has_h264() -> bool:
    """Whether this build of PyAV encodes H.264; some distributions leave it out."""
    import av

    return 'libx264' in av.codecs_available


class _H264File(VideoFile):
    """By PyAV, which carries libx264."""

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int]) -> None:
        import av

        self._path = path
        try:
            # the index goes to the front: a browser plays while it loads
            self._container = av.open(str(path), 'w', options={'movflags': 'faststart'})
            rate = Fraction(fps).limit_denominator(_MOST_FRACTION)
            self._stream: Any = self._container.add_stream('libx264', rate=rate)
            self._stream.width, self._stream.height = size_wh
            self._stream.pix_fmt = 'yuv420p'  # the one kind of color that all players have
            self._stream.options = {'crf': _CONSTANT_QUALITY, 'preset': 'veryfast'}
        except (OSError, ValueError) as error:
            raise InputError(f'{path} cannot be written as an mp4 video: {error}') from error

    def write(self, bgr: Picture) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format='bgr24')
        self._mux(frame)

    def close(self) -> None:
        self._mux(None)
        try:
            self._container.close()
        except OSError as error:
            raise self._failure(error) from error

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> InputError:
        return InputError(f'{self._path}: frames cannot be written ({error}): is the disk full?')


class _Mpeg4File(VideoFile):
    """By OpenCV, whose wheels have no encoder for H.264."""

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int]) -> None:
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size_wh)
        if not self._writer.isOpened():
            raise InputError(f'{path} cannot be written as an mp4 video by this OpenCV')

    def write(self, bgr: Picture) -> None:
        self._writer.write(bgr)

    def close(self) -> None:
        self._writer.release()
