"""The order of frames for models that look at videos as streams."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmext.errors import InputError
from mmext.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler):
    """Whole videos for each rank, frames in the order of time, every frame once.

    Videos are dealt out so that the ranks get about equally many frames, the longest first; a
    rank may get none. Works on wrapped data sets as well.

    Args:
        dataset: its ``get_data_info`` has ``video_id`` and ``frame_id``.
        seed: the runner hands it to every sampler; nothing is random here.

    Raises:
        InputError: it has not.
    """

    def __init__(self, dataset: BaseDataset, seed: int | None = None) -> None:
        rank, world_size = get_dist_info()
        frames = []
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            if 'video_id' not in info or 'frame_id' not in info:
                raise InputError(
                    f'VideoSampler: item {i} of {type(dataset).__name__} has no video_id and '
                    'frame_id; use a mmext.VideoPanopticDataset'
                )
            frames.append((info['video_id'], info['frame_id']))
        starts = [*video_starts(frames), len(frames)]
        videos = [range(a, b) for a, b in pairwise(starts)]
        self.indices = [i for video in deal_videos(videos, world_size)[rank] for i in video]

    def __iter__(self) -> Iterator[int]:
        """The indices of this rank's frames."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Number of frames of this rank."""
        return len(self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Every epoch has the same order."""


def deal_videos(videos: list[range], world_size: int) -> list[list[range]]:
    """Divides videos among ranks.

    Args:
        videos: the frames of each.
        world_size: number of ranks.

    Returns:
        The videos of each rank in their original order: each went, the longest first, to the rank
        with the fewest frames so far.

    >>> deal_videos([range(0, 2), range(2, 3), range(3, 4)], 2)
    [[range(0, 2)], [range(2, 3), range(3, 4)]]
    """
    of_rank: list[list[range]] = [[] for _ in range(world_size)]
    loads = [0] * world_size
    for video in sorted(videos, key=lambda frames: (-len(frames), frames.start)):
        rank = loads.index(min(loads))
        of_rank[rank].append(video)
        loads[rank] += len(video)
    return [sorted(of_this, key=lambda frames: frames.start) for of_this in of_rank]


def video_starts(frames: Sequence[tuple[Any, int]]) -> list[int]:
    """Where videos begin in a sequence of frames.

    Args:
        frames: ``video_id`` and ``frame_id`` of each.

    Returns:
        Positions of the first frames, ascending. A video begins with another id, or when the
        frame number does not grow: two data sets in a row may use the same ids.

    >>> video_starts([('a', 0), ('a', 1), ('b', 0), ('b', 0)])
    [0, 2, 3]
    """
    return [
        i
        for i, (video_id, frame_id) in enumerate(frames)
        if i == 0 or video_id != frames[i - 1][0] or frame_id <= frames[i - 1][1]
    ]
