"""What a streaming model keeps of the previous frame: its position in the video and its maps.

It keeps one frame, whatever the length of the video. Shapes: N frames of a call.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError


class VideoOrder:
    """Tells frames that continue a video from frames that begin one.

    A frame continues the video if it has the ``video_id`` of the previous frame and a higher
    ``frame_id``. Gaps are allowed, and a video may begin with any number. A frame without
    ``video_id`` is a video of its own.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next frame begins a video."""
        self._video_id: Hashable = None
        self.frame_id = 0

    def follows(self, meta: Mapping[str, Any]) -> bool:
        """Whether this frame continues the video of the frame of the previous call.

        Raises:
            InputError: a frame of a video without ``frame_id``.
        """
        video_id = meta.get('video_id')
        if video_id is None:
            self.reset()
            return False
        frame_id = meta.get('frame_id')
        if frame_id is None:
            raise InputError(f'frame_id: expected a number in the meta of video {video_id!r}')
        continues = video_id == self._video_id and frame_id > self.frame_id
        self._video_id, self.frame_id = video_id, frame_id
        return continues


class FrameMemory:
    """Remembers the previous frame of a stream, which is the reference of the next one."""

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
        """Take in consecutive frames and return the reference of each: the frame before it.

        The reference of a frame is the frame itself where there is no previous frame of its video
        and where the previous frame has another size. A previous frame with other padding is
        padded anew.

        Args:
            frames: the maps to remember, each ``[N, C_i, h_i, w_i]``, with the images last.
            metas: one per frame, with ``video_id``, ``frame_id`` and ``img_shape``, the size of
                the image without padding. Without ``img_shape`` the image has no padding.

        Returns:
            The maps of the references, ``[N, C_i, h_i, w_i]`` each, and a dict. The dict has an
            entry for every frame that has a previous frame as its reference: position in this
            call -> ``frame_id`` of the reference.
        """
        references, ref_frame_ids = [], {}
        for index, meta in enumerate(metas):
            current = tuple(maps[index] for maps in frames)
            previous_id = self._order.frame_id
            reference = self._last if self._order.follows(meta) else None
            size = tuple(meta.get('img_shape', frames[-1].shape[-2:]))[:2]
            if reference is None or size != self._size:
                reference = current
            else:
                ref_frame_ids[index] = previous_id
            pairs = zip(reference, current, strict=True)
            references.append([_padded_to(map_, like.shape[-2:]) for map_, like in pairs])
            self._last, self._size = current, size
        if self._last is not None:
            # not a view, which would keep the whole batch
            self._last = tuple(map_.detach().clone() for map_ in self._last)
        return tuple(torch.stack(maps) for maps in zip(*references, strict=True)), ref_frame_ids


def _padded_to(map_: Tensor, size_hw: Sequence[int]) -> Tensor:
    """A map ``[C, h, w]``, padded (or cut) below and on the right to ``size_hw``."""
    return F.pad(map_, (0, size_hw[1] - map_.shape[2], 0, size_hw[0] - map_.shape[1]))
