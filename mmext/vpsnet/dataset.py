"""Video panoptic data sets: COCO's panoptic format with videos.

The JSON is a COCO panoptic file in which every entry of ``images`` has a ``video_id``, and a
``frame_id`` that orders the frames of a video; a segment has one id in all frames of its video.
Not every frame needs an annotation: models run on all, learn from and are judged by the labelled.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmext.errors import InputError
from mmext.registry import DATASETS
from mmext.upsnet.dataset import CityscapesPanopticDataset, CocoPanopticDataset


@DATASETS.register_module()
class VideoPanopticDataset(CocoPanopticDataset):
    """Frames of videos, each video's frames one after the other.

    Each frame's data is that of :class:`~mmext.upsnet.dataset.CocoPanopticDataset` and

    - ``video_id``: as in the file; ``frame_id``: the frame's place in its video, from 0;
      ``video_length``: frames of the video; unlabelled ones count;
    - in ``instances`` the ``instance_id``, equal in all frames of a video: the segment's id.

    In training only labelled frames are drawn, and an item is a pair: the data of the key
    frame has the one of another frame of the same video under ``reference``.

    Args:
        reference_range: how many labelled frames the reference is away at most. It is drawn evenly
            among those on both sides; a video of one frame is its own reference. 1 is the
            paper's; 0 gives single frames, for a model of images.
        **kwargs: as of ``CocoPanopticDataset``.

    Raises:
        InputError: frames without a video or a number, or two with the same.
    """

    data_list: list[dict[str, Any]]
    leaves_out_unannotated = False  # a model runs on all frames of a video

    def __init__(self, *, reference_range: int = 1, **kwargs: Any) -> None:
        if reference_range < 0:
            raise InputError(f'reference_range: expected at least 0, got {reference_range}')
        self.reference_range = reference_range
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Reads the annotation file.

        Returns:
            The data of each frame: videos in the order of the file, frames in the order of time.
        """
        frames = super().load_data_list()
        videos: dict[Any, list[dict[str, Any]]] = {}
        for frame in frames:
            videos.setdefault(frame['video_id'], []).append(frame)
        for video_id, of_video in videos.items():
            of_video.sort(key=lambda frame: frame['frame_id'])
            numbers = [frame['frame_id'] for frame in of_video]
            if len(set(numbers)) < len(numbers):
                raise InputError(
                    f'{self.ann_file}: video {video_id!r} has two frames of the same number: '
                    f'frame_id {sorted(n for n in set(numbers) if numbers.count(n) > 1)[:8]}'
                )
            for place, frame in enumerate(of_video):
                frame |= {'frame_id': place, 'video_length': len(of_video)}
        return [frame for of_video in videos.values() for frame in of_video]

    def filter_data(self) -> list[dict[str, Any]]:
        """The frames that ``filter_cfg`` keeps, in training those with labels; at least one."""
        if not self.test_mode:
            labelled = [frame for frame in self.data_list if frame['seg_map_path'] is not None]
            if not labelled:
                raise InputError(
                    f'{self.ann_file}: none of {len(self.data_list)} frames has labels to learn '
                    'from; is data_prefix.seg set?'
                )
            self.data_list = labelled
        return super().filter_data()

    def parse_data_info(self, raw_data_info: Mapping[str, Any]) -> dict[str, Any]:
        """The data of one frame; ``frame_id`` is still that of the file."""
        image = raw_data_info['raw_img_info']
        data_info = super().parse_data_info(raw_data_info)
        data_info |= self._place_in_video(image)
        for instance in data_info['instances']:
            instance['instance_id'] = instance['segment_id']
        return data_info

    def prepare_data(self, idx: int) -> Any:
        """A frame through the pipeline, in training with its reference."""
        data_info = self.get_data_info(idx)
        if self.reference_range and not self.test_mode:
            data_info['reference'] = self._draw_reference(idx, data_info['video_id'])
        return self.pipeline(data_info)

    def _place_in_video(self, image: Mapping[str, Any]) -> dict[str, Any]:
        missing = [key for key in ('video_id', 'frame_id') if image.get(key) is None]
        if missing:
            raise InputError(
                f'{self.ann_file}: image {image["id"]} has no {" and no ".join(missing)}; is it '
                'an annotation file of single images?'
            )
        return {'video_id': image['video_id'], 'frame_id': image['frame_id']}

    def _draw_reference(self, idx: int, video_id: int | str) -> dict[str, Any]:
        """Another frame of the same video; they lie beside each other."""
        low = max(idx - self.reference_range, 0)
        high = min(idx + self.reference_range, len(self) - 1)
        near = [self.get_data_info(i) for i in range(low, high + 1) if i != idx]
        near = [frame for frame in near if frame['video_id'] == video_id]
        if not near:
            return self.get_data_info(idx)
        return near[np.random.randint(len(near))]


@DATASETS.register_module()
class CityscapesVPSDataset(VideoPanopticDataset):
    """Cityscapes-VPS, converted by ``tools/prepare_data.py cityscapes-vps``: 8 things, 11 stuff."""

    METAINFO = CityscapesPanopticDataset.METAINFO
