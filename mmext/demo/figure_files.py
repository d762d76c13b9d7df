"""Writes the figures of one split in COCO's formats: images, key points, surfaces, clips.

Layout::

    <root>/<split>2017/000000000001.jpg
    <root>/annotations/person_keypoints_<split>2017.json   boxes, masks, key points
    <root>/annotations/densepose_<split>2017.json          the same and the surface
    <root>/<split>_clips/000001/00000.jpg                  clip 1, frame 0
    <root>/<split>_flow/000001/00000.npz                   motion to frame 1, and what it hides
    <root>/annotations/youtube_vis_<split>.json            masks of persons through a clip
    <root>/annotations/densepose_<split>_clips.json        frame by frame, with ``instance_id``
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.demo.coco_files import LICENSE_ID, LICENSES, Json, encode_jpeg
from mmext.demo.figure_clip import FigureClip, exact_flow
from mmext.demo.figure_records import CATEGORY, describe_figures, without_surface
from mmext.demo.figure_scene import FigureScene, look_at_figures, photograph_figures

Rng = np.random.Generator


class FigureSplitWriter:
    """Writes images as they come and the JSON files at the end.

    Args:
        root: The data set's folder; sub-folders are made.
        split: ``'train'`` or ``'val'``.
        first_id: Of the images.
    """

    def __init__(self, root: Path, split: str, first_id: int) -> None:
        self._annotations = root / 'annotations'
        self._name = f'{split}2017'
        self._photos = root / self._name
        self._first_id = first_id
        self._images: list[Json] = []
        self._records: list[Json] = []
        for folder in (self._photos, self._annotations):
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, scene: FigureScene, rng: Rng) -> None:
        """Draw and write one image; ``rng`` chooses the points of the surface."""
        image, seen = photograph_figures(scene)
        image_id = self._first_id + len(self._images)
        name = f'{image_id:012d}.jpg'
        (self._photos / name).write_bytes(encode_jpeg(image))
        self._images.append(_image_line(image_id, name, image))
        for _, record in describe_figures(scene, seen, rng):
            self._records.append(dict(id=len(self._records) + 1, image_id=image_id) | record)

    def close(self) -> None:
        """Write the JSON files."""
        plain = [without_surface(record) for record in self._records]
        for kind, records in (('person_keypoints', plain), ('densepose', self._records)):
            _write_json(
                self._annotations / f'{kind}_{self._name}.json',
                images=self._images,
                annotations=records,
            )


class FigureClipWriter:
    """Writes clips as they come and the JSON files at the end.

    Args:
        root: The data set's folder; sub-folders are made.
        split: ``'train'`` or ``'val'``.
    """

    def __init__(self, root: Path, split: str) -> None:
        self._annotations = root / 'annotations'
        self._split = split
        self._photos, self._flows = root / f'{split}_clips', root / f'{split}_flow'
        self._videos: list[Json] = []
        self._tracks: list[Json] = []
        self._frames: list[Json] = []
        self._records: list[Json] = []
        for folder in (self._photos, self._flows, self._annotations):
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, clip: FigureClip, rng: Rng) -> None:
        """Draw and write one clip; ``rng`` chooses the points of the surface."""
        video_id = len(self._videos) + 1
        name = f'{video_id:06d}'
        height, width = clip.landscape.shape[0], clip.width
        tracks: dict[int, Json] = {}
        names = [f'{name}/{number:05d}.jpg' for number in range(clip.length)]
        shared = dict(width=width, height=height, length=clip.length)
        for number, file_name in enumerate(names):
            image_id = 1000 * video_id + number
            scene = clip.frame(number)
            image, seen = photograph_figures(scene)
            self._write(self._photos / file_name, encode_jpeg(image))
            line = _image_line(image_id, file_name, image)
            self._frames.append(line | dict(video_id=video_id, frame_id=number))
            for figure, record in describe_figures(scene, seen, rng):
                ids = dict(id=len(self._records) + 1, image_id=image_id, video_id=video_id)
                instance = 0  # too little is seen to tell who it is
                if not record['iscrowd']:
                    track = tracks.setdefault(figure, _track(len(tracks), shared))
                    _extend(track, number, record)
                    instance = len(self._tracks) + track['id']
                self._records.append(ids | dict(instance_id=instance) | record)
            if number + 1 < clip.length:
                later = look_at_figures(clip.frame(number + 1))
                flow, hidden = exact_flow(clip, number, seen, later)
                target = self._flows / f'{name}/{number:05d}.npz'
                target.parent.mkdir(exist_ok=True)
                np.savez_compressed(target, flow=flow, hidden=hidden)
        self._videos.append(dict(id=video_id, name=name, file_names=names, **shared))
        for track in tracks.values():
            self._tracks.append(track | dict(id=len(self._tracks) + 1, video_id=video_id))

    def close(self) -> None:
        """Write the JSON files."""
        _write_json(
            self._annotations / f'youtube_vis_{self._split}.json',
            videos=self._videos,
            annotations=self._tracks,
        )
        _write_json(
            self._annotations / f'densepose_{self._split}_clips.json',
            videos=[dict(id=video['id'], name=video['name']) for video in self._videos],
            images=self._frames,
            annotations=self._records,
        )

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def _image_line(image_id: int, name: str, image: NDArray[np.uint8]) -> Json:
    height, width = image.shape[:2]
    return dict(id=image_id, file_name=name, width=width, height=height, license=LICENSE_ID)


def _track(count: int, shared: dict[str, int]) -> Json:
    """A person of a clip who has not been seen yet."""
    absent: list[Any] = [None] * shared['length']
    return dict(
        id=count + 1,
        category_id=CATEGORY['id'],
        iscrowd=0,
        bboxes=list(absent),
        segmentations=list(absent),
        areas=list(absent),
        **shared,
    )


def _extend(track: Json, number: int, record: Json) -> None:
    """Add what is seen of a person in a frame."""
    track['bboxes'][number] = record['bbox']
    track['segmentations'][number] = record['segmentation']
    track['areas'][number] = record['area']


def _write_json(path: Path, **content: Any) -> None:
    info = {'description': 'Generated figures', 'version': '1.0', 'contributor': 'mmext'}
    whole = dict(info=info, licenses=LICENSES, **content, categories=[CATEGORY])
    path.write_text(json.dumps(whole), encoding='utf-8')
