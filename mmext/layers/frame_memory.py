"""What a streaming model keeps of the frame before: its place in the video, features and picture.

One frame, whatever the length of the video.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class VideoOrder:
    """Tells frames that continue a video from those that begin one.

    A frame continues the video if its meta has the ``video_id`` of the frame before and a higher
    ``frame_id``; gaps are allowed, and so is any first number. A frame without ``video_id`` stands
    alone.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next frame begins a video."""
        self._video_id: Hashable = None
        self.frame_id = 0

    def follows(self, meta: Mapping[str, Any]) -> bool:
        """Whether the frame continues the video of the frame of the last call.

        Raises:
            ValueError: a frame of a video without ``frame_id``.
        """
        video_id = meta.get('video_id')
        if video_id is None:
            self.reset()
            return False
        frame_id = meta.get('frame_id')
        if frame_id is None:
            raise ValueError(f'frame_id: expected a number in the meta of video {video_id!r}')
        continues = video_id == self._video_id and frame_id > self.frame_id
        self._video_id, self.frame_id = video_id, frame_id
        return continues


class FrameMemory:
    """The frame before each frame of a stream; the first frame of a video has itself."""

    def __init__(self) -> None:
        self._order = VideoOrder()
        self.reset()

    def reset(self) -> None:
        """The next frame begins a video."""
        self._order.reset()
        self._last: tuple[Tensor, ...] | None = None
        self._size: tuple[int, ...] = ()

    def references(
        self, frames: Sequence[Tensor], metas: Sequence[Mapping[str, Any]]
    ) -> tuple[tuple[Tensor, ...], dict[int, int]]:
        """Take in consecutive frames and say what their references are.

        Args:
            frames: what is kept of them, each [N, C_i, h_i, w_i]; the pictures last.
            metas: with ``video_id`` and ``frame_id``, and ``img_shape``, the size without padding;
                without it the picture has none.

        Returns:
            The same of the references, in the same shapes, and for each frame that has another one
            than itself its position and the number of its reference. A frame of another size than
            the one before has itself; one of another padding has its own.
        """
        references, numbers = [], {}
        for index, meta in enumerate(metas):
            own = tuple(maps[index] for maps in frames)
            number = self._order.frame_id
            last = self._last if self._order.follows(meta) else None
            size = tuple(meta.get('img_shape', frames[-1].shape[-2:]))[:2]
            if last is None or size != self._size:
                last = own
            else:
                numbers[index] = number
            references.append([_padded_to(a, b.shape[-2:]) for a, b in zip(last, own, strict=True)])
            self._last, self._size = own, size
        if self._last is not None:
            # not a view, which would keep the whole batch
            self._last = tuple(map_.detach().clone() for map_ in self._last)
        return tuple(torch.stack(maps) for maps in zip(*references, strict=True)), numbers


def _padded_to(map_: Tensor, size_hw: Sequence[int]) -> Tensor:
    """A map [C, h, w] with as much padding below and on the right as a batch of this size has."""
    return F.pad(map_, (0, size_hw[1] - map_.shape[2], 0, size_hw[0] - map_.shape[1]))
