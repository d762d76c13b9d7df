"""Which frames of a stream are key frames."""

from collections.abc import Mapping
from typing import Any

from mmext.errors import InputError
from mmext.layers.frame_memory import VideoOrder


class KeyFrameSchedule:
    """Counts how old the key frame of each frame is.

    The first frame of a video is a key frame, whatever its number is, and so is every frame that is
    ``interval`` after the last one or more: frames that were dropped count.

    Args:
        interval: frames from one key frame to the next; 1 makes all frames key frames.
    """

    def __init__(self, interval: int) -> None:
        if interval < 1:
            raise InputError(f'key_interval: expected at least 1 frame, got {interval}')
        self.interval = interval
        self._order = VideoOrder()
        self._key_id = 0

    def reset(self) -> None:
        """The next frame begins a video."""
        self._order.reset()

    def age(self, meta: Mapping[str, Any], usable: bool = True) -> int:
        """How many frames ago the key frame of the next frame was.

        Args:
            meta: ``video_id`` and ``frame_id``; a frame without is a picture of its own.
                ``key_frame`` decides in the place of the interval if it is there and not None;
                a video begins with a key frame all the same.
            usable: whether the state of the last key frame fits this frame.

        Returns:
            0 for a key frame.
        """
        follows = self._order.follows(meta) and usable and self.interval > 1
        age = self._order.frame_id - self._key_id
        asked = meta.get('key_frame')
        if follows and not (age >= self.interval if asked is None else asked):
            return age
        self._key_id = self._order.frame_id
        return 0
