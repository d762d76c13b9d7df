"""Videos of YouTube-VIS as frames, pairs and streams, and pairs of images with known motion."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.dataset import BaseDataset

from mmext.errors import InputError, MissingFileError
from mmext.formats.coco_faults import refuse_unreadable
from mmext.formats.coco_records import CocoRecords, coco_records
from mmext.formats.json_files import parse_json
from mmext.formats.picture_files import IMAGE_SUFFIXES
from mmext.formats.youtube_vis import frames_as_coco
from mmext.pipelines.coco_dataset import CocoDataset, require_places
from mmext.pipelines.frame_pairs import REFERENCE
from mmext.registry import DATASETS

_PLACE = ('video_id', 'frame_id', 'video_length', 'is_annotated')
_CHAIRS_TRAIN, _CHAIRS_VAL = '1', '2'


@DATASETS.register_module()
class VideoInstanceDataset(CocoDataset):
    """A file of YouTube-VIS; an item is a frame.

    Each frame's data is that of :class:`~mmext.pipelines.coco_dataset.CocoDataset` and
    ``video_id``, ``frame_id``, ``video_length``, ``is_annotated``. In training only annotated
    frames are drawn. Frames come video by video, in the order of time.

    Args:
        reference_range: in training, how many frames before the drawn one its reference is, least
            and most; drawn evenly among the frames that are there. A frame that has none is its own
            reference. None: single frames, for an image model. (2, 5) is the paper's.
        all_frames: also the frames in the folders of the videos that the file does not list: to be
            references and, in tests, to be gone through between the annotated ones.
        key_passes: in tests, how often each video is gone through, with the key frames
            (``key_frame``) one frame later each time, so that every frame is met at every age of
            its key frame; as many as ``key_interval`` of the model. 1: once, the model decides.
        **kwargs: as of ``CocoDataset``.

    Raises:
        InputError: it is no such file, or a range is none.
    """

    METAINFO = {
        # the 40 categories of 2019, in the order of their ids
        'classes': (
            *('person', 'giant_panda', 'lizard', 'parrot', 'skateboard', 'sedan', 'ape', 'dog'),
            *('snake', 'monkey', 'hand', 'rabbit', 'duck', 'cat', 'cow', 'fish', 'train', 'horse'),
            *('turtle', 'bear', 'motorbike', 'giraffe', 'leopard', 'fox', 'deer', 'owl'),
            *('surfboard', 'airplane', 'truck', 'zebra', 'tiger', 'elephant', 'snowboard', 'boat'),
            *('shark', 'mouse', 'frog', 'eagle', 'earless_seal', 'tennis_racket'),
        ),
        'palette': 'random',
    }

    def __init__(
        self,
        *args: Any,
        reference_range: tuple[int, int] | None = None,
        all_frames: bool = False,
        key_passes: int = 1,
        **kwargs: Any,
    ) -> None:
        if reference_range and not 1 <= reference_range[0] <= reference_range[1]:
            raise InputError(
                f'reference_range: expected 1 <= least <= most frames, got {reference_range}'
            )
        if key_passes < 1:
            raise InputError(f'key_passes: expected at least 1, got {key_passes}')
        self.reference_range, self.all_frames = reference_range, all_frames
        self.key_passes = key_passes
        self._frames_of: dict[Any, dict[int, str]] = {}
        super().__init__(*args, **kwargs)

    def read_records(self) -> CocoRecords:
        """The objects of frames, in one form."""
        require_places(self)
        read = partial(fileio.get, backend_args=self.backend_args)
        content = parse_json(read(self.ann_file), self.ann_file)
        other = self._files_in if self.all_frames else None
        records = coco_records(frames_as_coco(content, self.ann_file, other), self.ann_file)
        refuse_unreadable(records.faults, self.ann_file)
        return records

    def _files_in(self, folder: str) -> Iterator[str]:
        place = Path(self.data_prefix['img'], folder)
        for file in sorted(place.iterdir()) if place.is_dir() else ():
            if file.suffix.lower() in IMAGE_SUFFIXES:
                yield f'{folder}/{file.name}'

    def parse_data_info(self, raw_data_info: dict) -> dict[str, Any]:
        """The data of one frame."""
        image = raw_data_info['raw_img_info']
        data_info: dict[str, Any] = super().parse_data_info(raw_data_info)
        data_info |= {key: image[key] for key in _PLACE}
        of_video = self._frames_of.setdefault(image['video_id'], {})
        of_video[image['frame_id']] = data_info['img_path']
        return data_info

    def select_images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Annotated frames in training; in tests all of them, in as many passes as asked for."""
        if not self.test_mode:
            return [image for image in images if image['is_annotated']]
        if self.key_passes == 1:
            return images
        return [
            dict(
                image,
                video_id=f'{image["video_id"]}_pass_{number}',
                key_frame=(image['frame_id'] - number) % self.key_passes == 0,
            )
            for number in range(self.key_passes)
            for image in images
        ]

    def prepare_data(self, idx: int) -> Any:
        """A frame through the pipeline, in training with its reference."""
        data_info = self.get_data_info(idx)
        if self.reference_range and not self.test_mode:
            data_info[REFERENCE] = self._draw_reference(data_info)
        return self.pipeline(data_info)

    def _draw_reference(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        assert self.reference_range is not None
        least, most = self.reference_range
        of_video, number = self._frames_of[frame['video_id']], frame['frame_id']
        near = [n for n in range(number - most, number - least + 1) if n in of_video]
        chosen = near[np.random.randint(len(near))] if near else number
        size = {key: frame[key] for key in ('height', 'width')}
        return dict(img_path=of_video[chosen], img_id=frame['img_id'], instances=[], **size)


class FlowPairDataset(BaseDataset):
    """Pairs of images with the motion from the first to the second.

    An item has ``img_path`` of the first, ``reference`` with that of the second, and
    ``flow_paths``: the files whose flows, one after the other, lead from the first to the second.
    There is no object in it; the classes are those of the heads that are left as they are.
    """

    METAINFO = VideoInstanceDataset.METAINFO

    def prepare_data(self, idx: int) -> Any:
        """A pair through the pipeline."""
        return self.pipeline(self.get_data_info(idx))


@DATASETS.register_module()
class FlyingChairsDataset(FlowPairDataset):
    """FlyingChairs: ``NNNNN_img1.ppm``, ``NNNNN_img2.ppm``, ``NNNNN_flow.flo``.

    Dosovitskiy et al., "FlowNet", ICCV 2015.

    Args:
        ann_file: ``FlyingChairs_train_val.txt``, a line with 1 (train) or 2 (val) for each pair; ''
            takes all pairs.
        **kwargs: as of mmengine's ``BaseDataset``; ``data_prefix=dict(img=...)`` is the folder.

    Raises:
        MissingFileError: no pair there.
        InputError: the list has another length than there are pairs.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """The pairs, by number."""
        folder = Path(self.data_prefix['img'])
        flows = sorted(folder.glob('*_flow.flo'))
        if not flows:
            raise MissingFileError(f'no *_flow.flo in {folder.absolute()}: set data_root')
        stems = [str(flow).removesuffix('_flow.flo') for flow in flows]
        if self.ann_file:
            with open(self.ann_file, encoding='utf-8') as lines:
                splits = lines.read().split()
            if len(splits) != len(stems):
                raise InputError(f'{self.ann_file}: {len(splits)} lines for {len(stems)} pairs')
            wanted = _CHAIRS_VAL if self.test_mode else _CHAIRS_TRAIN
            stems = [s for s, split in zip(stems, splits, strict=True) if split == wanted]
        return [
            dict(
                img_path=f'{stem}_img1.ppm',
                img_id=number,
                flow_paths=[f'{stem}_flow.flo'],
                reference=dict(img_path=f'{stem}_img2.ppm', img_id=number),
            )
            for number, stem in enumerate(stems)
        ]


@DATASETS.register_module()
class ClipFlowDataset(FlowPairDataset):
    """Clips whose motion is known: ``CLIP/FRAME.jpg``, and ``CLIP/FRAME.npz`` to the next one.

    Args:
        max_distance: frames between the two of a pair, at most; all pairs up to it are items.
        **kwargs: as of mmengine's ``BaseDataset``; ``data_prefix=dict(img=..., flow=...)``.

    Raises:
        MissingFileError: no clip there.
    """

    def __init__(self, *, max_distance: int = 4, **kwargs: Any) -> None:
        if max_distance < 1:
            raise InputError(f'max_distance: expected at least 1, got {max_distance}')
        self.max_distance = max_distance
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """The pairs, clip by clip."""
        photos, flows = (Path(self.data_prefix[kind]) for kind in ('img', 'flow'))
        pairs: list[dict[str, Any]] = []
        for clip in sorted(flows.iterdir()) if flows.is_dir() else ():
            steps = sorted(clip.glob('*.npz'))
            frames = sorted(file for file in (photos / clip.name).glob('*.*'))
            for first in range(len(steps)):
                for last in range(first + 1, min(first + self.max_distance, len(steps)) + 1):
                    pairs.append(
                        dict(
                            img_path=os.fspath(frames[first]),
                            img_id=len(pairs),
                            flow_paths=[os.fspath(step) for step in steps[first:last]],
                            reference=dict(img_path=os.fspath(frames[last]), img_id=len(pairs)),
                        )
                    )
        if not pairs:
            raise MissingFileError(f'no CLIP/*.npz in {flows.absolute()}: set data_root')
        return pairs
