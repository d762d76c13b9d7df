"""Whole videos in order, every frame once, ranks evenly loaded."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset

from mmext.pipelines.video_sampler import VideoSampler, deal_videos, video_starts
from mmext.registry import DATA_SAMPLERS


class _Frames(BaseDataset):
    """Given frames."""

    def __init__(self, frames: list[dict[str, Any]]) -> None:
        self.frames = frames
        super().__init__(test_mode=True)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [dict(frame) for frame in self.frames]


def frames_of(*lengths: int) -> _Frames:
    frames = [
        {'video_id': v, 'frame_id': t} for v, length in enumerate(lengths) for t in range(length)
    ]
    return _Frames(frames)


def test_videos_are_dealt_out_evenly() -> None:
    rng = np.random.default_rng(0)
    for world_size in (1, 2, 3, 8):
        lengths = rng.integers(1, 40, rng.integers(1, 30))
        ends = np.cumsum(lengths).tolist()
        videos = [range(end - n, end) for n, end in zip(lengths.tolist(), ends, strict=True)]
        dealt = deal_videos(videos, world_size)
        assert len(dealt) == world_size
        together = sorted(i for of_rank in dealt for video in of_rank for i in video)
        assert together == list(range(ends[-1]))
        for of_rank in dealt:
            assert of_rank == sorted(of_rank, key=lambda video: video.start)
        loads = [sum(map(len, of_rank)) for of_rank in dealt]
        # longest first: no two ranks differ by more than the longest video
        assert max(loads) - min(loads) <= max(lengths)


def test_one_rank_gets_everything_in_order() -> None:
    sampler = DATA_SAMPLERS.build(
        dict(type='mmext.VideoSampler', dataset=frames_of(3, 1, 4), seed=7)
    )
    assert list(sampler) == list(range(8)) and len(sampler) == 8
    sampler.set_epoch(3)
    assert list(sampler) == list(range(8))


def test_wrapped_data_sets_do_not_join_videos_of_one_id() -> None:
    wrapped = ConcatDataset([frames_of(2), frames_of(2, 3)])
    frames = [wrapped.get_data_info(i) for i in range(len(wrapped))]
    keys = [(frame['video_id'], frame['frame_id']) for frame in frames]
    assert video_starts(keys) == [0, 2, 4]
    assert list(VideoSampler(wrapped)) == list(range(7))
    repeated = RepeatDataset(frames_of(3), 2)
    keys = [(0, repeated.get_data_info(i)['frame_id']) for i in range(len(repeated))]
    assert video_starts(keys) == [0, 3]


def test_other_data_sets_are_refused() -> None:
    images = _Frames([{'img_id': 1}])
    with pytest.raises(ValueError, match='item 0 of _Frames has no video_id and frame_id'):
        VideoSampler(images)


SCRIPT = """
import json, sys, torch
from mmext.registry import DATASETS, DATA_SAMPLERS
root, store, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.distributed.init_process_group(
    'gloo', init_method=f'file://{store}/store', rank=rank, world_size=2)
dataset = DATASETS.build(dict(
    type='mmext.VideoPanopticDataset', data_root=root, test_mode=True,
    ann_file='annotations/panoptic_val.json', metainfo=dict(classes='auto'),
    data_prefix=dict(img='val/', seg='annotations/panoptic_val/')))
sampler = DATA_SAMPLERS.build(dict(type='mmext.VideoSampler', dataset=dataset))
videos = [dataset.get_data_info(i)['video_id'] for i in sampler]
with open(f'{store}/{rank}.json', 'w') as file:
    json.dump([list(sampler), videos], file)
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def test_two_processes_share_no_video(video_root: Path, tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, '-c', SCRIPT, str(video_root), str(tmp_path), str(rank)])
        for rank in range(2)
    ]
    assert [rank.wait(timeout=400) for rank in ranks] == [0, 0]
    (first, its_videos), (second, other_videos) = (
        json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2)
    )
    assert not set(its_videos) & set(other_videos) and len(set(its_videos + other_videos)) == 4
    content = json.loads((video_root / 'annotations/panoptic_val.json').read_text())
    assert sorted(first + second) == list(range(len(content['images'])))
    assert first == sorted(first) and second == sorted(second)
